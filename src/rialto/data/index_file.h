// Index arrays on disk: built once, mapped by every process that needs them.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "rialto/base/file_ops.h"

namespace rialto::data {

struct IndexCache {
  fs::path folder = {};
  FileOps* ops = nullptr;
};

using Arrays = std::vector<std::span<const std::byte>>;

/// Arrays and what owns their bytes.
struct HeldArrays {
  Arrays arrays;
  std::shared_ptr<const void> owner;
};

/// The arrays that `build` makes of `key`, a text that says everything they depend on. With a cache folder: out of the
/// folder's file for that key, which is written when there is none. Processes that come at once wait for the first one;
/// where the file system has no locks each builds the same bytes, and the last rename stands.
/// Throws kInput for a file that is damaged or of another key, and what `build` throws.
HeldArrays cached_arrays(const IndexCache& cache, const std::string& name, const std::string& key,
                         const std::function<HeldArrays()>& build);

template <class T>
std::span<const T> as_array(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
}

/// Arrays that live in `values`, a struct of vectors, listed by `list`.
template <class Values, class List>
HeldArrays hold(Values values, List list) {
  auto owner = std::make_shared<const Values>(std::move(values));
  return {list(*owner), owner};
}

}  // namespace rialto::data
