// Plain threads for the rooms left of the torch line.
#pragma once

#include <cstddef>
#include <functional>

namespace rialto {

/// Threads to use by default: the CPUs this process may run on.
size_t available_threads();

/// Runs body(i) for i in [0, count) on up to `threads` threads; rethrows the first exception after all have stopped.
void parallel_for(size_t count, size_t threads, const std::function<void(size_t)>& body);

}  // namespace rialto
