// flock, polled so that a waiting program can be stopped. The kernel takes the lock back when its holder dies.
#include "rialto/hub/file_lock.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rialto/base/error.h"

namespace rialto::hub {
namespace {

constexpr std::chrono::milliseconds kPoll{50};

/// The file may have been removed, and made again by others, between open and flock: then the lock means nothing.
bool is_still(int fd, const fs::path& path) {
  struct stat ours = {}, theirs = {};
  return ::fstat(fd, &ours) == 0 && ::stat(path.c_str(), &theirs) == 0 && ours.st_ino == theirs.st_ino &&
         ours.st_dev == theirs.st_dev;
}

}  // namespace

FileLock::FileLock(const fs::path& path, const std::function<void()>& on_wait, const std::function<void()>& check) {
  const auto failed = [&](const char* action) {
    const int code = errno;
    if (fd_ >= 0) ::close(fd_);
    return Error(ErrorKind::kIo, path.string(), std::string("cannot ") + action + ": " + std::strerror(code));
  };
  for (bool told = false;;) {
    if (fd_ < 0) fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0664);
    if (fd_ < 0) throw failed("open the lock file");
    if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) {
      if (is_still(fd_, path)) return;
      ::close(fd_);
      fd_ = -1;
      continue;
    }
    // A file system without locks: the renames still keep files whole, they may only be fetched twice.
    if (errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS) return;
    if (errno != EWOULDBLOCK && errno != EINTR) throw failed("lock the file");
    if (!std::exchange(told, true)) on_wait();
    try {
      check();
    } catch (...) {
      ::close(fd_);
      throw;
    }
    std::this_thread::sleep_for(kPoll);
  }
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace rialto::hub
