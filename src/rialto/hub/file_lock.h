// A lock between processes, as huggingface_hub takes it (flock), so that each file is fetched once.
#pragma once

#include <functional>

#include "rialto/base/file_ops.h"

namespace rialto::hub {

class FileLock {
 public:
  /// Waits until nobody else holds the lock on `path`, which is made when it is not there. `on_wait` is called once
  /// when there is somebody to wait for; `check` over and over while waiting, and may throw. Throws kIo.
  FileLock(const fs::path& path, const std::function<void()>& on_wait, const std::function<void()>& check);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int fd_ = -1;
};

}  // namespace rialto::hub
