// The norm Function: RMSNorm or LayerNorm, with the residual addition before it.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/kernels/layer_norm.h"
#include "rialto/kernels/rms_norm.h"
#include "rialto/model/functions.h"

namespace rialto::model {
namespace {

double offset_of(const spec::Norm& norm) { return norm.zero_centered ? 1 : 0; }

/// Without delta the sum is x: an alias of it, so that the residual's gradient takes the same way in both cases.
at::Tensor sum_of(const at::Tensor& sum, const at::Tensor& delta) { return delta.defined() ? sum : sum.detach(); }

void add_gradient(const Recorder& recorder, const at::Tensor& main_grad, const at::Tensor& grad) {
  recorder.weight_gradient([main_grad, grad] { main_grad.add_(grad.view_as(main_grad)); });
}

NormOutput add_rms_norm(const Recorder& recorder, const at::Tensor& x, const at::Tensor& delta, const Weight& weight,
                        double eps, double offset) {
  Tape tape(recorder, {x, delta, weight.data});
  const kernels::RmsNormOutput out = kernels::rms_norm_forward(x.contiguous(), delta, weight.data, eps, offset);
  const at::Tensor sum = sum_of(out.sum, delta);
  const bool want_dw = tape.wants(2), added = delta.defined();
  tape.keep(sum, "norm.sum");
  tape.keep(out.rstd, "norm.rstd");
  tape.record(
      {out.y, sum},
      [recorder, want_dw, added, offset, w = weight.data, main_grad = weight.main_grad](
          const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        const at::Tensor dy = douts[0].defined() ? douts[0] : at::zeros_like(kept[0]);
        const auto grads = kernels::rms_norm_backward(dy, douts[1], kept[0], kept[1], w, want_dw, offset);
        if (want_dw) add_gradient(recorder, main_grad, grads.dweight);
        return {grads.dx, added ? grads.dx : at::Tensor(), at::Tensor()};
      },
      "add_norm");
  return {sum, out.y};
}

NormOutput add_layer_norm(const Recorder& recorder, const at::Tensor& x, const at::Tensor& delta, const Norm& norm) {
  const at::Tensor bias = norm.bias ? norm.bias->data : at::Tensor();
  const double offset = offset_of(norm.spec);
  Tape tape(recorder, {x, delta, norm.weight->data, bias});
  const kernels::LayerNormOutput out =
      kernels::layer_norm_forward(x.contiguous(), delta, norm.weight->data, bias, norm.spec.eps, offset);
  const at::Tensor sum = sum_of(out.sum, delta);
  const bool want_dw = tape.wants(2), want_db = tape.wants(3), added = delta.defined();
  tape.keep(sum, "norm.sum");
  tape.keep(out.mean, "norm.mean");
  tape.keep(out.rstd, "norm.rstd");
  tape.record(
      {out.y, sum},
      [recorder, want_dw, want_db, added, offset, w = norm.weight->data, main_grad = norm.weight->main_grad,
       bias_grad = norm.bias ? norm.bias->main_grad : at::Tensor()](const Grads& douts,
                                                                    const std::vector<at::Tensor>& kept) -> Grads {
        const at::Tensor dy = douts[0].defined() ? douts[0] : at::zeros_like(kept[0]);
        const auto grads = kernels::layer_norm_backward(
            dy, douts[1], {.sum = kept[0], .y = {}, .mean = kept[1], .rstd = kept[2]}, w, want_dw || want_db, offset);
        if (want_dw) add_gradient(recorder, main_grad, grads.dweight);
        if (want_db) add_gradient(recorder, bias_grad, grads.dbias);
        return {grads.dx, added ? grads.dx : at::Tensor(), at::Tensor(), at::Tensor()};
      },
      "add_layer_norm");
  return {sum, out.y};
}

}  // namespace

NormOutput add_norm(const Recorder& recorder, const at::Tensor& x, const at::Tensor& delta, const Norm& norm) {
  if (norm.spec.kind == spec::NormKind::kLayer) return add_layer_norm(recorder, x, delta, norm);
  return add_rms_norm(recorder, x, delta, *norm.weight, norm.spec.eps, offset_of(norm.spec));
}

NormOutput add_norm(const Recorder& recorder, const at::Tensor& x, const at::Tensor& delta, const Weight& weight,
                    double eps) {
  return add_rms_norm(recorder, x, delta, weight, eps, 0);
}

at::Tensor norm_of(const at::Tensor& sum, const Norm& norm) {
  const at::NoGradGuard no_grad;
  const at::Tensor weight = norm.weight->data.detach();
  if (norm.spec.kind != spec::NormKind::kLayer)
    return kernels::rms_norm_forward(sum, {}, weight, norm.spec.eps, offset_of(norm.spec)).y;
  const at::Tensor bias = norm.bias ? norm.bias->data.detach() : at::Tensor();
  return kernels::layer_norm_forward(sum, {}, weight, bias, norm.spec.eps, offset_of(norm.spec)).y;
}

}  // namespace rialto::model
