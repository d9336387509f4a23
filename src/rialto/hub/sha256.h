// SHA-256, which names large files on the Hugging Face Hub.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace rialto::hub {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::span<const std::byte> bytes);
  std::string hex() const;  ///< 64 lower-case digits of everything so far

 private:
  void* state_;
};

}  // namespace rialto::hub
