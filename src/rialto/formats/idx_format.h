// The fixed part of a .idx file. Inside formats only. Source: megatron/core/datasets/indexed_dataset.py.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace rialto::formats {

/// Magic, u64 version 1, u8 element code, u64 sequences, u64 documents + 1; then i32 lengths, i64 byte offsets,
/// i64 document indices.
inline constexpr std::string_view kIdxMagic = {"MMIDIDX\0\0", 9};
inline constexpr uint64_t kIdxVersion = 1;
inline constexpr uint64_t kIdxHeaderBytes = 9 + 8 + 1 + 8 + 8;

/// Megatron's codes of element types that tokens come in.
inline constexpr uint8_t kCodeU8 = 1, kCodeI8 = 2, kCodeI16 = 3, kCodeI32 = 4, kCodeI64 = 5, kCodeU16 = 8;

inline std::filesystem::path with_ending(const std::filesystem::path& prefix, std::string_view ending) {
  std::filesystem::path path = prefix;
  path += ending;
  return path;
}

}  // namespace rialto::formats
