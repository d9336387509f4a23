// A byte stream between a thread that makes it and the caller that writes it, through a few reused blocks.
#pragma once

#include <exception>
#include <functional>
#include <span>
#include <thread>
#include <vector>

#include "rialto/convert/opened.h"
#include "rialto/store/queue.h"

namespace rialto::convert {

class Pump {
 public:
  /// Runs `make` on a thread of its own; what it pushes comes out of take() in the same order.
  explicit Pump(std::function<void(const ByteSink&)> make);
  /// Stops the thread, whatever it was doing (its next push throws inside it).
  ~Pump();
  /// Gives the next `bytes` bytes to `sink`. Throws what `make` threw; kInternal when it made fewer.
  void take(uint64_t bytes, const ByteSink& sink);
  /// Waits until `make` has returned. Throws what it threw, and kInternal when it made more than was taken.
  void finish();

 private:
  struct Block {
    std::vector<std::byte> bytes;
    size_t used = 0;
  };
  void run(const std::function<void(const ByteSink&)>& make);

  store::BoundedQueue<Block> free_, full_;
  std::exception_ptr error_;  ///< set before full_ is closed
  Block current_;
  size_t taken_ = 0;
  std::thread thread_;
};

}  // namespace rialto::convert
