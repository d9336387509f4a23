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
  const at::Tensor batch = kept(dropout, dropout.sample_elements(x)).view(-1);
  const at::Tensor mask = batch.narrow(0, dropout.first_element(x), x.numel()).view(x.sizes());
  return (x.to(wide_type(x)) * mask.to(x.device()) * dropout.scale()).to(x.scalar_type());
}

at::Tensor dropout(const at::Tensor& x, const Dropout& dropout) {
  return x.is_cpu() && is_narrow(x) ? cpu::dropout(x, dropout) : ref::dropout(x, dropout);
}

}  // namespace rialto::kernels
