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

namespace {

/// Which tokens find their row on this rank, and where: of a part of the vocabulary some, else all.
struct Held {
  at::Tensor rows;    ///< [K] of this rank's table
  at::Tensor places;  ///< [K] in the batch; undefined: all

  Held(const at::Tensor& tokens_T, const Weight& table) : rows(tokens_T) {
    if (!is_part_of_vocabulary(table)) return;
    const at::Tensor local = tokens_T - table.box.lo.at(0);
    places = at::nonzero(at::logical_and(local >= 0, local < table.data.size(0))).squeeze(1);
    rows = local.index_select(0, places);
  }
  at::Tensor spread(const at::Tensor& y_KH, int64_t tokens) const {
    if (!places.defined()) return y_KH;
    return at::zeros({tokens, y_KH.size(1)}, y_KH.options()).index_copy_(0, places, y_KH);
  }
  at::Tensor gather(const at::Tensor& dy_TH) const { return places.defined() ? dy_TH.index_select(0, places) : dy_TH; }
};

}  // namespace

at::Tensor embedding(const Recorder& recorder, const at::Tensor& tokens_T, const Weight& table, double scale) {
  Tape tape(recorder, {table.data});
  const Held held(tokens_T, table);
  at::Tensor y = held.spread(kernels::embedding_forward(held.rows, table.data), tokens_T.size(0));
  // Gemma multiplies by a scalar that was rounded to the weights' dtype first.
  const double rounded = at::scalar_tensor(scale, table.data.options().device(at::kCPU)).item<double>();
  if (rounded != 1) y.mul_(rounded);
  tape.keep(held.rows, "embedding.tokens");
  tape.record(
      {y},
      [recorder, rounded, held, main_grad = table.main_grad](const Grads& douts,
                                                             const std::vector<at::Tensor>& kept) -> Grads {
        const at::Tensor dout = held.gather(douts[0]);
        const at::Tensor dy = rounded == 1 ? dout : dout.to(main_grad.scalar_type()).mul_(rounded);
        recorder.weight_gradient([main_grad, dy, ids = kept[0]] { kernels::embedding_grad(main_grad, ids, dy); });
        return {at::Tensor()};
      },
      "embedding");
  return y;
}

}  // namespace rialto::model
