// Joining softmaxes in plain ATen operations, and the choice of body.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/kernels/attention_merge.h"
#include "rialto/kernels/dispatch.h"

namespace rialto::kernels {

void ref::attention_merge(AttentionOutput& all, const AttentionOutput& part, int64_t first_query) {
  const int64_t queries = part.out_BSNV.size(1);
  const at::Tensor out = all.out_BSNV.narrow(1, first_query, queries),
                   lse = all.lse_BNS.narrow(2, first_query, queries);
  const at::Tensor both = at::logaddexp(lse, part.lse_BNS);
  const auto weight = [&](const at::Tensor& of) {
    const at::Tensor weights = at::where(at::isneginf(of), at::zeros_like(of), at::exp(of - both));
    return weights.transpose(1, 2).unsqueeze(-1).to(out.scalar_type());
  };
  out.mul_(weight(lse)).addcmul_(part.out_BSNV.to(out.scalar_type()), weight(part.lse_BNS));
  lse.copy_(both);
}

void attention_merge(AttentionOutput& all, const AttentionOutput& part, int64_t first_query) {
  const bool fast = all.out_BSNV.is_cpu() && all.out_BSNV.scalar_type() == at::kFloat && all.out_BSNV.is_contiguous() &&
                    all.lse_BNS.is_contiguous() && is_narrow(part.out_BSNV) && part.lse_BNS.is_contiguous() &&
                    all.lse_BNS.scalar_type() == at::kFloat && part.lse_BNS.scalar_type() == at::kFloat;
  fast ? cpu::attention_merge(all, part, first_query) : ref::attention_merge(all, part, first_query);
}

}  // namespace rialto::kernels
