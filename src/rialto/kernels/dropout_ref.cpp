// Dropout in plain ATen operations on a mask, and the choice of body.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/kernels/dispatch.h"
#include "rialto/kernels/dropout.h"

namespace rialto::kernels {

at::Tensor ref::kept(const Dropout& dropout, int64_t per_sample) {
  const auto rows = static_cast<int64_t>(dropout.rows.size());
  at::Tensor kept = at::empty({rows, per_sample}, at::kByte);
  auto* out = kept.data_ptr<uint8_t>();
  for (const RandomStream& stream : dropout.rows) {
    for (int64_t e = 0; e < per_sample; ++e) {
      const auto index = static_cast<uint64_t>(e);
      *out++ = stream.words(index / 4)[index % 4] >= dropout.threshold();
    }
  }
  return kept;
}

at::Tensor ref::dropout(const at::Tensor& x, const Dropout& dropout) {
  at::Tensor mask = kept(dropout, dropout.sample_elements(x)).view(-1);
  if (!dropout.runs.empty()) {
    const int64_t width = x.numel() / x.size(0);
    std::vector<at::Tensor> parts;
    for (const auto& [first, count] : dropout.runs) parts.push_back(mask.narrow(0, first * width, count * width));
    mask = at::cat(parts);
  }
  mask = mask.view(x.sizes());
  return (x.to(wide_type(x)) * mask.to(x.device()) * dropout.scale()).to(x.scalar_type());
}

at::Tensor dropout(const at::Tensor& x, const Dropout& dropout) {
  return x.is_cpu() && is_narrow(x) ? cpu::dropout(x, dropout) : ref::dropout(x, dropout);
}

}  // namespace rialto::kernels
