// Codes of one scale, whatever the codec: what decoding and encoding both do to them.
#pragma once

#include <cstddef>

#include "rialto/bridge/codecs/codec.h"
#include "rialto/bridge/codecs/lanes.h"

namespace rialto::bridge {

inline bool is_fp8(Codec codec) { return codec == Codec::kFp8Block || codec == Codec::kFp8Tensor; }

/// Elements [at, at + count) of `codes`, times `scale`; T: float, or uint16_t for bf16.
template <class T>
void decode_run(Codec codec, const std::byte* codes, int64_t at, int64_t count, float scale, T* out) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(codes);
  if (is_fp8(codec))
    lanes::decode_fp8(bytes + at, count, scale, out);
  else
    lanes::decode_nibbles(codec == Codec::kMxfp4, bytes, at, count, scale, out);
}

}  // namespace rialto::bridge
