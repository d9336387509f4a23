// The activation of a feed-forward block, dropout, and the embedding.
#include "rialto/model/functions.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/kernels/embedding.h"

namespace rialto::model {

at::Tensor activate(const Recorder& recorder, const at::Tensor& x, const kernels::Activation& activation) {
  Tape tape(recorder, {x});
  const at::Tensor y = kernels::activation_forward(x, activation);
  tape.keep(x, "activation.input");
  tape.record(
      {y},
      [activation](const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        return {kernels::activation_backward(douts[0], kept[0], activation)};
      },
      "activate");
  return y;
}

at::Tensor dropout(const Recorder& recorder, const at::Tensor& x_TH, const kernels::Dropout& dropout) {
  if (!dropout.active()) return x_TH;
  Tape tape(recorder, {x_TH});
  const at::Tensor y = kernels::dropout(x_TH, dropout);
  tape.record(
      {y},
      [dropout](const Grads& douts, const std::vector<at::Tensor>&) -> Grads {
        return {kernels::dropout(douts[0], dropout)};
      },
      "dropout");
  return y;
}

at::Tensor embedding(const Recorder& recorder, const at::Tensor& tokens_T, const Weight& table, double scale) {
  Tape tape(recorder, {table.data});
  at::Tensor y = kernels::embedding_forward(tokens_T, table.data);
  // Gemma multiplies by a scalar that was rounded to the weights' dtype first.
  const double rounded = at::scalar_tensor(scale, table.data.options().device(at::kCPU)).item<double>();
  if (rounded != 1) y.mul_(rounded);
  tape.keep(tokens_T, "embedding.tokens");
  tape.record(
      {y},
      [recorder, rounded, main_grad = table.main_grad](const Grads& douts,
                                                       const std::vector<at::Tensor>& kept) -> Grads {
        const at::Tensor dy = rounded == 1 ? douts[0] : douts[0].to(main_grad.scalar_type()).mul_(rounded);
        recorder.weight_gradient([main_grad, dy, ids = kept[0]] { kernels::embedding_grad(main_grad, ids, dy); });
        return {at::Tensor()};
      },
      "embedding");
  return y;
}

}  // namespace rialto::model
