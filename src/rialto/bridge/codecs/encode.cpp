// From numbers to codes and scales, giving unchanged blocks the codes that they came from.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "rialto/base/error.h"
#include "rialto/base/number.h"
#include "rialto/bridge/codecs/run.h"

namespace rialto::bridge {
namespace {

/// One block's rows inside a row-major matrix of `step` columns.
struct Block {
  Codec codec;
  const float* values;
  std::byte* codes;
  int64_t step, rows, cols;
  const float* row(int64_t r) const { return values + r * step; }
  std::byte* row_codes(int64_t r) const { return codes + code_bytes(codec, r * step); }
};

void put_codes(const Block& block, float scale) {
  for (int64_t r = 0; r < block.rows; ++r) {
    auto* codes = reinterpret_cast<uint8_t*>(block.row_codes(r));
    if (is_fp8(block.codec))
      lanes::encode_fp8(block.row(r), block.cols, scale, codes);
    else
      lanes::encode_nibbles(block.codec == Codec::kMxfp4, block.row(r), block.cols, scale, codes);
  }
}

/// Room for one row of a block, decoded.
struct Row {
  std::vector<float> wide;
  std::vector<uint16_t> narrow;
};

/// Whether the codes that stand there decode to the values, bit for bit, as the type that was read.
bool gives_back(const Block& block, float scale, DType type, Row& row) {
  row.wide.resize(static_cast<size_t>(block.cols));
  row.narrow.resize(row.wide.size());
  for (int64_t r = 0; r < block.rows; ++r) {
    if (type == DType::kBF16) {
      decode_run(block.codec, block.row_codes(r), 0, block.cols, scale, row.narrow.data());
      cast_elements(row.narrow.data(), DType::kBF16, row.wide.data(), DType::kF32, row.wide.size());
    } else {
      decode_run(block.codec, block.row_codes(r), 0, block.cols, scale, row.wide.data());
    }
    if (std::memcmp(row.wide.data(), block.row(r), row.wide.size() * sizeof(float)) != 0) return false;
  }
  return true;
}

float new_scale(const Block& block, const CodedTensor& tensor) {
  float max = 0;
  for (int64_t r = 0; r < block.rows; ++r) max = std::max(max, lanes::max_magnitude(block.row(r), block.cols));
  if (!std::isfinite(max))
    throw Error(ErrorKind::kInput, tensor.name, "holds values that codes cannot: infinite, or not a number");
  float scale = max / (is_fp8(tensor.codec) ? 448.0f : 7.0f);
  if (tensor.codec == Codec::kMxfp4 && max > 0) scale = std::ldexp(1.0f, std::clamp(std::ilogb(max) - 2, -127, 127));
  if (tensor.scale_dtype == DType::kBF16) scale = bf16_to_f32(f32_to_bf16(scale));
  return scale > 0 ? scale : 1.0f;
}

}  // namespace

int64_t code_bytes(Codec codec, int64_t elements) { return is_fp8(codec) ? elements : elements / 2; }

void widen_scales(const CodedTensor& tensor, std::span<const std::byte> stored, std::span<float> scales) {
  if (tensor.scale_dtype != DType::kU8) {
    cast_elements(stored.data(), tensor.scale_dtype, scales.data(), DType::kF32, scales.size());
    return;
  }
  for (size_t i = 0; i < scales.size(); ++i) scales[i] = exponent_scale(static_cast<uint8_t>(stored[i]));
}

void narrow_scales(const CodedTensor& tensor, std::span<const float> scales, std::span<std::byte> stored) {
  if (tensor.scale_dtype != DType::kU8) {
    cast_elements(scales.data(), DType::kF32, stored.data(), tensor.scale_dtype, scales.size());
    return;
  }
  for (size_t i = 0; i < scales.size(); ++i)
    stored[i] = static_cast<std::byte>(std::isnan(scales[i]) ? 255 : std::ilogb(scales[i]) + 127);
}

int64_t encode(const CodedTensor& tensor, std::span<const float> values, int64_t first_row, int64_t rows, DType from,
               std::span<float> scales, std::span<std::byte> codes) {
  const int64_t across = tensor.scale_cols(), down = (rows + tensor.block_rows - 1) / tensor.block_rows;
  if (first_row % tensor.block_rows != 0 || values.size() != static_cast<size_t>(rows * tensor.cols) ||
      codes.size() != static_cast<size_t>(code_bytes(tensor.codec, rows * tensor.cols)) ||
      scales.size() != static_cast<size_t>(down * across))
    throw Error(ErrorKind::kInternal, tensor.name, "asked to encode rows that do not fit the blocks");
  int64_t changed = 0;
  Row row;
  for (int64_t i = 0; i < down; ++i) {
    for (int64_t j = 0; j < across; ++j) {
      const int64_t at = i * tensor.block_rows * tensor.cols + j * tensor.block_cols;
      const Block block{.codec = tensor.codec,
                        .values = values.data() + at,
                        .codes = codes.data() + code_bytes(tensor.codec, at),
                        .step = tensor.cols,
                        .rows = std::min(tensor.block_rows, rows - i * tensor.block_rows),
                        .cols = std::min(tensor.block_cols, tensor.cols - j * tensor.block_cols)};
      float& scale = scales[static_cast<size_t>(i * across + j)];
      if (!std::isnan(scale)) {
        put_codes(block, scale);
        if (gives_back(block, scale, from, row)) continue;
      }
      scale = new_scale(block, tensor);
      put_codes(block, scale);
      ++changed;
    }
  }
  return changed;
}

}  // namespace rialto::bridge
