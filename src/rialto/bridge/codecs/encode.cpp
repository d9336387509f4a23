// From numbers to FP8 codes and scales, giving unchanged blocks the codes that they came from.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "rialto/base/error.h"
#include "rialto/base/number.h"
#include "rialto/bridge/codecs/codec.h"
#include "rialto/bridge/codecs/lanes.h"

namespace rialto::bridge {
namespace {

constexpr float kLargest = 448;

/// One block's rows inside a row-major matrix.
struct Block {
  const float* values;
  uint8_t* codes;
  int64_t step, rows, cols;
};

void put_codes(const Block& block, float scale) {
  for (int64_t r = 0; r < block.rows; ++r)
    lanes::encode_fp8(block.values + r * block.step, block.cols, scale, block.codes + r * block.step);
}

/// Whether the codes that stand there decode to the values, bit for bit, as the type that was read.
bool gives_back(const Block& block, float scale, DType type, std::vector<float>& row) {
  row.resize(static_cast<size_t>(block.cols));
  std::vector<uint16_t> narrow(row.size());
  for (int64_t r = 0; r < block.rows; ++r) {
    if (type == DType::kBF16) {
      lanes::decode_fp8(block.codes + r * block.step, block.cols, scale, narrow.data());
      cast_elements(narrow.data(), DType::kBF16, row.data(), DType::kF32, row.size());
    } else {
      lanes::decode_fp8(block.codes + r * block.step, block.cols, scale, row.data());
    }
    if (std::memcmp(row.data(), block.values + r * block.step, row.size() * sizeof(float)) != 0) return false;
  }
  return true;
}

float new_scale(const Block& block, const std::string& name) {
  float max = 0;
  for (int64_t r = 0; r < block.rows; ++r)
    max = std::max(max, lanes::max_magnitude(block.values + r * block.step, block.cols));
  if (!std::isfinite(max))
    throw Error(ErrorKind::kInput, name, "holds values that FP8 cannot: infinite, or not a number");
  return max == 0 ? 1.0f : max / kLargest;
}

}  // namespace

int64_t encode_fp8(const CodedTensor& tensor, std::span<const float> values, int64_t first_row, int64_t rows,
                   DType from, std::span<float> scales, std::span<std::byte> codes) {
  const int64_t across = tensor.scale_cols();
  const auto elements = static_cast<size_t>(rows * tensor.cols);
  const int64_t down = (rows + tensor.block_rows - 1) / tensor.block_rows;
  if (first_row % tensor.block_rows != 0 || values.size() != elements || codes.size() != elements ||
      scales.size() != static_cast<size_t>(down * across))
    throw Error(ErrorKind::kInternal, tensor.name, "asked to encode rows that do not fit the blocks");
  int64_t changed = 0;
  std::vector<float> row;
  for (int64_t i = 0; i < down; ++i) {
    for (int64_t j = 0; j < across; ++j) {
      const int64_t at = i * tensor.block_rows * tensor.cols + j * tensor.block_cols;
      const Block block{values.data() + at, reinterpret_cast<uint8_t*>(codes.data()) + at, tensor.cols,
                        std::min(tensor.block_rows, rows - i * tensor.block_rows),
                        std::min(tensor.block_cols, tensor.cols - j * tensor.block_cols)};
      float& scale = scales[static_cast<size_t>(i * across + j)];
      if (!std::isnan(scale)) {
        put_codes(block, scale);
        if (gives_back(block, scale, from, row)) continue;
      }
      scale = new_scale(block, tensor.name);
      put_codes(block, scale);
      ++changed;
    }
  }
  return changed;
}

}  // namespace rialto::bridge
