// From codes and scales to numbers.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/number.h"
#include "rialto/bridge/codecs/run.h"

namespace rialto::bridge {
namespace {

float scale_of(const CodedTensor& tensor, const std::byte* scales, int64_t index) {
  switch (tensor.scale_dtype) {
    case DType::kU8:
      return exponent_scale(static_cast<uint8_t>(scales[index]));
    case DType::kBF16: {
      uint16_t bits;
      std::memcpy(&bits, scales + 2 * index, sizeof bits);
      return bf16_to_f32(bits);
    }
    default: {
      float value;
      std::memcpy(&value, scales + 4 * index, sizeof value);
      return value;
    }
  }
}

/// Memory of one call: codes and scales of its elements.
struct Scratch {
  std::unique_ptr<std::byte[]> codes, scales;
  size_t codes_size = 0, scales_size = 0;
  static std::byte* grow(std::unique_ptr<std::byte[]>& memory, size_t& size, size_t want) {
    if (size < want) {
      memory = std::make_unique_for_overwrite<std::byte[]>(want);
      size = want;
    }
    return memory.get();
  }
};

/// What `X_shape` says. A row that does not fill its last word would be cut there; no published model has one.
void check_stored_shape(const CodedTensor& tensor, const ByteReader& read) {
  if (!tensor.shape_tensor) return;
  std::array<int64_t, 2> shape = {};
  if (tensor.shape_dtype == DType::kI64) {
    read(*tensor.shape_tensor, 0, std::as_writable_bytes(std::span(shape)));
  } else {
    std::array<int32_t, 2> narrow = {};
    read(*tensor.shape_tensor, 0, std::as_writable_bytes(std::span(narrow)));
    std::copy(narrow.begin(), narrow.end(), shape.begin());
  }
  if (shape[0] != tensor.rows || shape[1] != tensor.cols)
    throw Error(ErrorKind::kInput, tensor.name + "_shape", "disagrees with the packed codes",
                {.got = fmt::format("[{}, {}]", shape[0], shape[1]), .want = to_text(tensor.shape)});
}

}  // namespace

float exponent_scale(uint8_t exponent) {
  if (exponent == 0xFF) return std::bit_cast<float>(0x7FC00000u);
  // 2^-127 is below the smallest normal number: half of it.
  return exponent == 0 ? std::bit_cast<float>(0x00400000u) : std::bit_cast<float>(uint32_t{exponent} << 23);
}

void decode(const CodedTensor& tensor, const ByteReader& read, int64_t first, int64_t count, DType to,
            std::span<std::byte> out) {
  if (count == 0) return;
  if (out.size() != static_cast<size_t>(count) * size_of(to) || (to != DType::kBF16 && to != DType::kF32))
    throw Error(ErrorKind::kInternal, tensor.name, "asked for decoded bytes that do not fit");
  const int64_t bits = is_fp8(tensor.codec) ? 8 : 4;
  const int64_t first_byte = first * bits / 8, last_byte = ((first + count) * bits + 7) / 8;
  const int64_t first_scale = first / tensor.cols / tensor.block_rows * tensor.scale_cols();
  const int64_t last_scale = ((first + count - 1) / tensor.cols / tensor.block_rows + 1) * tensor.scale_cols();
  static thread_local Scratch scratch;
  std::byte* codes = Scratch::grow(scratch.codes, scratch.codes_size, static_cast<size_t>(last_byte - first_byte));
  const size_t scale_bytes = static_cast<size_t>(last_scale - first_scale) * size_of(tensor.scale_dtype);
  std::byte* scales = Scratch::grow(scratch.scales, scratch.scales_size, scale_bytes);
  read(tensor.codes, static_cast<uint64_t>(first_byte), {codes, static_cast<size_t>(last_byte - first_byte)});
  read(tensor.scales, static_cast<uint64_t>(first_scale) * size_of(tensor.scale_dtype), {scales, scale_bytes});
  const int64_t shift = first_byte * 8 / bits;  // element that codes[0] begins with
  for (int64_t at = first; at < first + count;) {
    const int64_t row = at / tensor.cols, col = at % tensor.cols;
    const int64_t block_end = std::min((col / tensor.block_cols + 1) * tensor.block_cols, tensor.cols);
    const int64_t run = std::min(block_end - col, first + count - at);
    const int64_t index = row / tensor.block_rows * tensor.scale_cols() + col / tensor.block_cols - first_scale;
    const float scale = scale_of(tensor, scales, index);
    if (to == DType::kBF16)
      decode_run(tensor.codec, codes, at - shift, run, scale, reinterpret_cast<uint16_t*>(out.data()) + (at - first));
    else
      decode_run(tensor.codec, codes, at - shift, run, scale, reinterpret_cast<float*>(out.data()) + (at - first));
    at += run;
  }
}

ByteReader decoding_reader(const DecodedSource& source, ByteReader stored, DType decoded) {
  for (const CodedTensor& tensor : source.coded) check_stored_shape(tensor, stored);
  return [coded = source.coded, where = source.stored, stored = std::move(stored), decoded](
             uint32_t index, uint64_t begin, std::span<std::byte> out) {
    const uint32_t at = where.at(index);
    if (at >= kCodedBase) {
      const size_t width = size_of(decoded);
      if (begin % width != 0 || out.size() % width != 0)
        throw Error(ErrorKind::kInternal, "codecs", "asked for bytes that are no decoded elements");
      decode(coded.at(at - kCodedBase), stored, static_cast<int64_t>(begin / width),
             static_cast<int64_t>(out.size() / width), decoded, out);
    } else {
      stored(at, begin, out);
    }
  };
}

}  // namespace rialto::bridge
