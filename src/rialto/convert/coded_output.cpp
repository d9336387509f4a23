// Encoding tensor by tensor, a few rows at a time on several threads. Scales that are asked for right after their codes
// are there already; elsewhere they walk the values once more.
#include "rialto/convert/coded_output.h"

#include <algorithm>
#include <limits>

#include "rialto/base/number.h"
#include "rialto/base/parallel.h"

namespace rialto::convert {
namespace {

constexpr int64_t kStepElements = 1 << 20;
constexpr size_t kMaxThreads = 4;  ///< each holds its rows thrice and the executor's buffers

template <class T>
void push_pair(int64_t a, int64_t b, const ByteSink& sink) {
  const T pair[2] = {static_cast<T>(a), static_cast<T>(b)};
  sink(std::as_bytes(std::span(pair)));
}

}  // namespace

CodedOutput::CodedOutput(const OpenedNative& source, bridge::Executor& executor)
    : source_(source), executor_(executor), parts_(std::min(available_threads(), kMaxThreads)) {
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
  if (member.role == Role::kScales && encoded_ == member.coded) return sink(encoded_scales_);
  if (member.role != Role::kShape) return push_encoded(member.coded, member.role, sink);
  tensor.shape_dtype == DType::kI64 ? push_pair<int64_t>(tensor.rows, tensor.cols, sink)
                                    : push_pair<int32_t>(tensor.rows, tensor.cols, sink);
}

void CodedOutput::encode_rows(uint32_t coded, int64_t first, int64_t rows, Part& part) const {
  const bridge::CodedTensor& tensor = source_.decoded.coded[coded];
  const uint32_t index = hf_index_.at(tensor.name);
  const DType dtype = source_.map.hf[index].dtype;
  const int64_t elements = rows * tensor.cols;
  part.stored.resize(static_cast<size_t>(elements) * size_of(dtype));
  part.values.resize(static_cast<size_t>(elements));
  executor_.produce_range(index, first * tensor.cols, first * tensor.cols + elements, part.stored);
  cast_elements(part.stored.data(), dtype, part.values.data(), DType::kF32, part.values.size());
  part.scales.assign(static_cast<size_t>((rows + tensor.block_rows - 1) / tensor.block_rows * tensor.scale_cols()),
                     std::numeric_limits<float>::quiet_NaN());
  part.scale_bytes.resize(part.scales.size() * size_of(tensor.scale_dtype));
  const auto at = static_cast<uint64_t>(first / tensor.block_rows * tensor.scale_cols()) * size_of(tensor.scale_dtype);
  if (source_.hf.scales) {
    source_.hf.scales(source_.recorded[tensor.scales].name, at, part.scale_bytes);
    bridge::widen_scales(tensor, part.scale_bytes, part.scales);
  }
  part.codes.resize(static_cast<size_t>(bridge::code_bytes(tensor.codec, elements)));
  // The type that an import decodes to, whatever the numbers are stored as by now: unchanged ones are known by it.
  const DType from = source_.decoded.tensor_of(coded).dtype;
  part.changed = bridge::encode(tensor, part.values, first, rows, from, part.scales, part.codes);
  bridge::narrow_scales(tensor, part.scales, part.scale_bytes);
}

void CodedOutput::push_encoded(uint32_t coded, Role role, const ByteSink& sink) {
  const bridge::CodedTensor& tensor = source_.decoded.coded[coded];
  const int64_t step = std::max(tensor.block_rows, kStepElements / tensor.cols / tensor.block_rows * tensor.block_rows);
  encoded_.reset();
  encoded_scales_.clear();
  for (int64_t row = 0; row < tensor.rows;) {
    const auto first = [&](size_t i) { return row + static_cast<int64_t>(i) * step; };
    const auto count = std::min(parts_.size(), static_cast<size_t>((tensor.rows - row + step - 1) / step));
    parallel_for(count, count,
                 [&](size_t i) { encode_rows(coded, first(i), std::min(step, tensor.rows - first(i)), parts_[i]); });
    for (size_t i = 0; i < count; ++i) {
      encoded_scales_.insert(encoded_scales_.end(), parts_[i].scale_bytes.begin(), parts_[i].scale_bytes.end());
      if (role != Role::kCodes) continue;
      changed_ += parts_[i].changed;
      sink(parts_[i].codes);
    }
    row = first(count);
  }
  if (role == Role::kScales) sink(encoded_scales_);
  encoded_ = coded;
}

}  // namespace rialto::convert
