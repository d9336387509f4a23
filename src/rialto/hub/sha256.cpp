// SHA-256 by the Rust library.
#include "rialto/hub/sha256.h"

#include "rialto/hub/http_abi.h"

namespace rialto::hub {

Sha256::Sha256() : state_(rialto_sha256_new()) {}
Sha256::~Sha256() { rialto_sha256_free(state_); }

void Sha256::update(std::span<const std::byte> bytes) {
  rialto_sha256_update(state_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

std::string Sha256::hex() const {
  std::string digits(64, '0');
  rialto_sha256_hex(state_, reinterpret_cast<uint8_t*>(digits.data()));
  return digits;
}

}  // namespace rialto::hub
