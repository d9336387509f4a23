// Dropout on the CPU: four elements from one counter, no mask in memory.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>

#include "rialto/kernels/dropout.h"

namespace rialto::kernels {
namespace {

constexpr int64_t kGrain = 4096;  // counters of one task

template <class T>
void drop(const T* x, T* y, int64_t per_sample, const Dropout& dropout) {
  const int64_t counters = (per_sample + 3) / 4;
  const uint64_t threshold = dropout.threshold();
  const auto scale = static_cast<float>(dropout.scale());
  at::parallel_for(0, counters * static_cast<int64_t>(dropout.rows.size()), kGrain, [&](int64_t begin, int64_t end) {
    float factor[4];
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i / counters, counter = i % counters, first = row * per_sample + counter * 4;
      dropout_factors(dropout.rows[static_cast<size_t>(row)], static_cast<uint64_t>(counter), threshold, scale, factor);
      const int64_t count = std::min<int64_t>(4, per_sample - counter * 4);
      for (int64_t j = 0; j < count; ++j) y[first + j] = static_cast<T>(static_cast<float>(x[first + j]) * factor[j]);
    }
  });
}

}  // namespace

at::Tensor cpu::dropout(const at::Tensor& x, const Dropout& dropout) {
  const at::Tensor in = x.contiguous();
  at::Tensor out = at::empty_like(in);
  const int64_t per_sample = in.numel() / std::max<int64_t>(1, static_cast<int64_t>(dropout.rows.size()));
  if (in.scalar_type() == at::kFloat)
    drop(in.const_data_ptr<float>(), out.data_ptr<float>(), per_sample, dropout);
  else
    drop(in.const_data_ptr<at::BFloat16>(), out.data_ptr<at::BFloat16>(), per_sample, dropout);
  return out;
}

}  // namespace rialto::kernels
