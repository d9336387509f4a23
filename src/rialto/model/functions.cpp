// The Functions of a layer other than linear and the loss.
#include "rialto/model/functions.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/kernels/embedding.h"
#include "rialto/kernels/rms_norm.h"
#include "rialto/kernels/swiglu.h"

namespace rialto::model {

NormOutput add_norm(const Recorder& recorder, const at::Tensor& x, const at::Tensor& delta, const Weight& weight,
                    double eps) {
  Tape tape(recorder, {x, delta, weight.data});
  kernels::RmsNormOutput out = kernels::rms_norm_forward(x.contiguous(), delta, weight.data, eps);
  // Without delta the sum is x: an alias of it, so that the residual's gradient takes the same way in both cases.
  const at::Tensor sum = delta.defined() ? out.sum : out.sum.detach();
  const bool want_dw = tape.wants(2), added = delta.defined();
  tape.keep(sum, "norm.sum");
  tape.keep(out.rstd, "norm.rstd");
  tape.record(
      {out.y, sum},
      [recorder, want_dw, added, w = weight.data, main_grad = weight.main_grad](
          const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        const at::Tensor dy = douts[0].defined() ? douts[0] : at::zeros_like(kept[0]);
        const auto grads = kernels::rms_norm_backward(dy, douts[1], kept[0], kept[1], w, want_dw);
        if (want_dw)
          recorder.weight_gradient([main_grad, dw = grads.dweight] { main_grad.add_(dw.view_as(main_grad)); });
        return {grads.dx, added ? grads.dx : at::Tensor(), at::Tensor()};
      },
      "add_norm");
  return {sum, out.y};
}

at::Tensor swiglu(const Recorder& recorder, const at::Tensor& x) {
  Tape tape(recorder, {x});
  const at::Tensor y = kernels::swiglu_forward(x);
  tape.keep(x, "swiglu.input");
  tape.record(
      {y},
      [](const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        return {kernels::swiglu_backward(douts[0], kept[0])};
      },
      "swiglu");
  return y;
}

at::Tensor embedding(const Recorder& recorder, const at::Tensor& tokens_T, const Weight& table) {
  Tape tape(recorder, {table.data});
  const at::Tensor y = kernels::embedding_forward(tokens_T, table.data);
  tape.keep(tokens_T, "embedding.tokens");
  tape.record(
      {y},
      [recorder, main_grad = table.main_grad](const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        recorder.weight_gradient(
            [main_grad, dy = douts[0], ids = kept[0]] { kernels::embedding_grad(main_grad, ids, dy); });
        return {at::Tensor()};
      },
      "embedding");
  return y;
}

}  // namespace rialto::model
