// mmap of a file that stays as it is while it is mapped.
#include "rialto/base/mapped_file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rialto/base/error.h"

namespace rialto {

MappedFile::MappedFile(const fs::path& path) {
  const ReadFile checked(path);  // its errors name the path
  size_ = checked.size();
  if (size_ == 0) return;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw Error(ErrorKind::kIo, path.string(), std::string("cannot open: ") + std::strerror(errno));
  void* data = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd, 0);
  const int code = errno;
  ::close(fd);
  if (data == MAP_FAILED) throw Error(ErrorKind::kIo, path.string(), std::string("cannot map: ") + std::strerror(code));
  data_ = static_cast<const std::byte*>(data);
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace rialto
