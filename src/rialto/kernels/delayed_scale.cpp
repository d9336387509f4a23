// The history of largest magnitudes and its scales.
#include "rialto/kernels/delayed_scale.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>
#include <limits>

namespace rialto::kernels {

DelayedScale::DelayedScale(const DelayedOptions& options, at::Device device) : options_(options) {
  const auto fp32 = at::TensorOptions().dtype(at::kFloat).device(device);
  observed_ = at::zeros({3}, fp32);
  history_ = at::zeros({options.history_len, 3}, fp32);
  scales_ = at::ones({3}, fp32);
  largest_ = at::tensor({largest(Fp8Format::kE4M3), largest(Fp8Format::kE4M3), largest(options.gradient)}).to(fp32);
}

at::Tensor DelayedScale::scale(Operand operand) const { return scales_.select(0, static_cast<int64_t>(operand)); }

void DelayedScale::observe(Operand operand, const at::Tensor& amax) {
  at::Tensor slot = observed_.select(0, static_cast<int64_t>(operand));
  slot.copy_(at::where(at::isfinite(amax), at::maximum(slot, amax), slot));
}

void DelayedScale::advance() {
  history_ = at::cat({observed_.unsqueeze(0), history_.narrow(0, 0, options_.history_len - 1)});
  observed_.zero_();
  const at::Tensor amax = options_.most_recent ? history_.select(0, 0) : history_.amax(0);
  const at::Tensor scale = (largest_ / amax) * std::ldexp(1.0F, -static_cast<int>(options_.margin));
  const at::Tensor bounded = scale.clamp_max(std::numeric_limits<float>::max());
  scales_ = at::where(amax > 0, bounded, scales_);
}

}  // namespace rialto::kernels
