// Encoding tensor by tensor, a few rows at a time: codes and scales are asked for separately and each walks the values.
#include "rialto/convert/coded_output.h"

#include <algorithm>
#include <limits>

#include "rialto/base/number.h"

namespace rialto::convert {
namespace {

constexpr int64_t kStepElements = 2 << 20;

template <class T>
void push_pair(int64_t a, int64_t b, const ByteSink& sink) {
  const T pair[2] = {static_cast<T>(a), static_cast<T>(b)};
  sink(std::as_bytes(std::span(pair)));
}

}  // namespace

CodedOutput::CodedOutput(const OpenedNative& source, bridge::Executor& executor)
    : source_(source), executor_(executor) {
  for (uint32_t i = 0; i < source.decoded.coded.size(); ++i) {
    const bridge::CodedTensor& tensor = source.decoded.coded[i];
    members_[source.recorded[tensor.codes].name] = {i, Role::kCodes};
    members_[source.recorded[tensor.scales].name] = {i, Role::kScales};
    if (tensor.shape_tensor) members_[source.recorded[*tensor.shape_tensor].name] = {i, Role::kShape};
  }
  for (uint32_t i = 0; i < source.map.hf.size(); ++i) hf_index_[source.map.hf[i].name] = i;
}

void CodedOutput::push(const std::string& name, const ByteSink& sink) {
  const Member member = members_.at(name);
  const bridge::CodedTensor& tensor = source_.decoded.coded[member.coded];
  if (member.role != Role::kShape) return push_encoded(tensor, member.role, sink);
  tensor.shape_dtype == DType::kI64 ? push_pair<int64_t>(tensor.rows, tensor.cols, sink)
                                    : push_pair<int32_t>(tensor.rows, tensor.cols, sink);
}

void CodedOutput::push_encoded(const bridge::CodedTensor& tensor, Role role, const ByteSink& sink) {
  const uint32_t index = hf_index_.at(tensor.name);
  const DType dtype = source_.map.hf[index].dtype;
  const std::string& scales_name = source_.recorded[tensor.scales].name;
  const int64_t step = std::max(tensor.block_rows, kStepElements / tensor.cols / tensor.block_rows * tensor.block_rows);
  std::vector<std::byte> stored, old_scales, codes;
  std::vector<float> values, scales;
  for (int64_t row = 0; row < tensor.rows; row += step) {
    const int64_t rows = std::min(step, tensor.rows - row), elements = rows * tensor.cols;
    stored.resize(static_cast<size_t>(elements) * size_of(dtype));
    values.resize(static_cast<size_t>(elements));
    executor_.produce_range(index, row * tensor.cols, row * tensor.cols + elements, stored);
    cast_elements(stored.data(), dtype, values.data(), DType::kF32, values.size());
    scales.assign(static_cast<size_t>((rows + tensor.block_rows - 1) / tensor.block_rows * tensor.scale_cols()),
                  std::numeric_limits<float>::quiet_NaN());
    old_scales.resize(scales.size() * size_of(tensor.scale_dtype));
    const auto at = static_cast<uint64_t>(row / tensor.block_rows * tensor.scale_cols()) * size_of(tensor.scale_dtype);
    if (source_.hf.scales) {
      source_.hf.scales(scales_name, at, old_scales);
      bridge::widen_scales(tensor, old_scales, scales);
    }
    codes.resize(static_cast<size_t>(bridge::code_bytes(tensor.codec, elements)));
    const int64_t changed = bridge::encode(tensor, values, row, rows, dtype, scales, codes);
    if (role == Role::kCodes) {
      changed_ += changed;
      sink(codes);
    } else {
      bridge::narrow_scales(tensor, scales, old_scales);
      sink(old_scales);
    }
  }
}

}  // namespace rialto::convert
