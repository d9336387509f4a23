// What the Rust crate hands out, freed when it goes out of scope. Only the files that call it include this.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rialto/hub/tokenizer_abi.h"

namespace rialto::hub {

inline const uint8_t* bytes_of(std::string_view text) { return reinterpret_cast<const uint8_t*>(text.data()); }

struct OwnedBytes {
  RialtoTokBytes bytes{nullptr, 0};
  OwnedBytes() = default;
  OwnedBytes(const OwnedBytes&) = delete;
  OwnedBytes& operator=(const OwnedBytes&) = delete;
  ~OwnedBytes() { rialto_tok_free_bytes(bytes); }
  std::string text() const { return {reinterpret_cast<const char*>(bytes.data), bytes.len}; }
};

struct OwnedIds {
  RialtoTokIds ids{nullptr, 0};
  OwnedIds() = default;
  OwnedIds(const OwnedIds&) = delete;
  OwnedIds& operator=(const OwnedIds&) = delete;
  ~OwnedIds() { rialto_tok_free_ids(ids); }
  std::vector<int32_t> tokens() const { return {ids.data, ids.data + ids.len}; }
  std::vector<std::pair<size_t, size_t>> pairs() const {
    std::vector<std::pair<size_t, size_t>> out;
    for (size_t i = 0; i + 1 < ids.len; i += 2) out.emplace_back(ids.data[i], ids.data[i + 1]);
    return out;
  }
};

}  // namespace rialto::hub
