// Cross entropy rows in plain ATen operations, and the choice of body.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/base/error.h"
#include "rialto/kernels/cross_entropy.h"
#include "rialto/kernels/dispatch.h"

namespace rialto::kernels {
namespace {

/// Refuses labels that a weight makes count and that name no row of the vocabulary.
void check_labels(const at::Tensor& labels, const at::Tensor& weights, int64_t vocab) {
  const int64_t* label = labels.const_data_ptr<int64_t>();
  const at::Tensor w = weights.to(at::kFloat).contiguous();
  const float* weight = w.const_data_ptr<float>();
  for (int64_t i = 0; i < labels.numel(); ++i) {
    if (weight[i] != 0.0F && (label[i] < 0 || label[i] >= vocab)) {
      throw Error(ErrorKind::kInput, "loss", "a label is outside the vocabulary",
                  {.got = std::to_string(label[i]), .want = "0 to " + std::to_string(vocab - 1), .hint = {}});
    }
  }
}

}  // namespace

at::Tensor ref::cross_entropy_rows(at::Tensor logits, const at::Tensor& labels, const at::Tensor& weights,
                                   bool want_grad) {
  const at::Tensor w = weights.to(logits.scalar_type());
  const at::Tensor counted = w != 0;
  const at::Tensor index = at::where(counted, labels, at::zeros_like(labels)).unsqueeze(1);
  const at::Tensor lse = at::logsumexp(logits, 1);
  const at::Tensor loss = at::where(counted, w * (lse - logits.gather(1, index).squeeze(1)), at::zeros_like(lse));
  if (want_grad) {
    logits.sub_(lse.unsqueeze(1)).exp_();
    logits.scatter_add_(1, index, at::full_like(index, -1, logits.options()));
    logits.mul_(w.unsqueeze(1));
  }
  return loss;
}

at::Tensor cross_entropy_rows(at::Tensor logits, const at::Tensor& labels, const at::Tensor& weights, bool want_grad) {
  if (!logits.is_cpu()) return ref::cross_entropy_rows(logits, labels, weights, want_grad);
  check_labels(labels, weights, logits.size(1));
  return is_narrow(logits) && logits.scalar_type() == at::kFloat
             ? cpu::cross_entropy_rows(logits, labels, weights, want_grad)
             : ref::cross_entropy_rows(logits, labels, weights, want_grad);
}

}  // namespace rialto::kernels
