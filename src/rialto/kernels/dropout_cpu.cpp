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
void drop(const T* x, T* y, int64_t elements, int64_t first, int64_t per_sample, const Dropout& dropout) {
  const uint64_t threshold = dropout.threshold();
  const auto scale = static_cast<float>(dropout.scale());
  for (int64_t at = first; at < first + elements;) {
    const int64_t row = at / per_sample, start = row * per_sample;  // what x has of this sample is [at, end)
    const int64_t end = std::min(first + elements, start + per_sample);
    const RandomStream& stream = dropout.rows[static_cast<size_t>(row)];
    at::parallel_for((at - start) / 4, (end - start + 3) / 4, kGrain, [&](int64_t from, int64_t to) {
      float factor[4];
      for (int64_t counter = from; counter < to; ++counter) {
        dropout_factors(stream, static_cast<uint64_t>(counter), threshold, scale, factor);
        const int64_t four = start + counter * 4;
        for (int64_t e = std::max(four, at); e < std::min(four + 4, end); ++e)
          y[e - first] = static_cast<T>(static_cast<float>(x[e - first]) * factor[e - four]);
      }
    });
    at = end;
  }
}

template <class T>
void drop_runs(const at::Tensor& in, at::Tensor& out, const Dropout& dropout) {
  const T* x = in.const_data_ptr<T>();
  T* y = out.data_ptr<T>();
  const int64_t per_sample = dropout.sample_elements(in);
  if (dropout.runs.empty()) return drop(x, y, in.numel(), 0, per_sample, dropout);
  const int64_t width = in.numel() / in.size(0);
  for (const auto& [first, count] : dropout.runs) {
    drop(x, y, count * width, first * width, per_sample, dropout);
    x += count * width;
    y += count * width;
  }
}

}  // namespace

at::Tensor cpu::dropout(const at::Tensor& x, const Dropout& dropout) {
  const at::Tensor in = x.contiguous();
  at::Tensor out = at::empty_like(in);
  if (in.scalar_type() == at::kFloat)
    drop_runs<float>(in, out, dropout);
  else
    drop_runs<at::BFloat16>(in, out, dropout);
  return out;
}

}  // namespace rialto::kernels
