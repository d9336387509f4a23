// The linear Function of many experts over rows sorted by expert.
#include <ATen/Functions.h>

#include "rialto/model/ffn/experts.h"

namespace rialto::model {
namespace {

/// What the backward pass needs of one expert.
struct Expert {
  int64_t first, count;  ///< places
  at::Tensor weight, dweight, dbias;
  bool want_dw, want_db;
  kernels::GemmRecipe recipe;
};

void add_weight_gradients(const std::vector<Expert>& experts, const at::Tensor& dy, const at::Tensor& x) {
  for (const Expert& e : experts) {
    const at::Tensor dy_e = dy.narrow(0, e.first, e.count);
    if (e.want_dw) kernels::gemm_grad_weight(e.dweight, dy_e, x.narrow(0, e.first, e.count), e.recipe);
    if (e.want_db) kernels::bias_grad(e.dbias, dy_e);
  }
}

}  // namespace

at::Tensor grouped_linear(const Recorder& recorder, const at::Tensor& x_PI, const std::vector<int64_t>& offsets,
                          const std::vector<Linear>& layers) {
  std::vector<at::Tensor> inputs{x_PI};
  for (const Linear& layer : layers) {
    inputs.push_back(layer.weight->data);
    if (layer.bias) inputs.push_back(layer.bias->data);
  }
  Tape tape(recorder, inputs);
  at::Tensor y = at::empty({x_PI.size(0), layers.front().weight->data.size(0)}, x_PI.options());
  const at::Tensor x = kernels::gemm_operand(x_PI);  // once for all experts
  std::vector<Expert> used;
  bool want_dw = false, want_grads = false;
  size_t input = 1;
  for (size_t e = 0; e < layers.size(); ++e) {
    const Linear& layer = layers[e];
    const size_t weight = input++, bias = layer.bias ? input++ : 0;
    const int64_t first = offsets[e], count = offsets[e + 1] - first;
    if (count == 0) continue;
    kernels::GemmRecipe recipe = layer.recipe;
    recipe.observes = tape.active();  // evaluation leaves no trace
    kernels::gemm_forward_out(y.narrow(0, first, count), x.narrow(0, first, count), layer.weight->data,
                              layer.bias ? layer.bias->data : at::Tensor(), recipe);
    used.push_back({.first = first,
                    .count = count,
                    .weight = layer.weight->data,
                    .dweight = layer.weight->main_grad,
                    .dbias = layer.bias ? layer.bias->main_grad : at::Tensor(),
                    .want_dw = tape.wants(weight),
                    .want_db = bias != 0 && tape.wants(bias),
                    .recipe = recipe});
    want_dw = want_dw || used.back().want_dw;
    want_grads = want_grads || used.back().want_dw || used.back().want_db;
  }
  tape.keep(want_dw ? x_PI : at::Tensor(), "grouped_linear.input");
  tape.record(
      {y},
      [recorder, used, want_dx = tape.wants(0), want_grads, num_inputs = inputs.size(), options = x_PI.options(),
       width = x_PI.size(1)](const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        const at::Tensor dy = kernels::gemm_operand(douts[0]);  // once for both products
        Grads dins(num_inputs);
        if (want_dx) {
          dins[0] = at::empty({dy.size(0), width}, options);
          for (const Expert& e : used) {
            kernels::gemm_grad_input_out(dins[0].narrow(0, e.first, e.count), dy.narrow(0, e.first, e.count), e.weight,
                                         e.recipe);
          }
        }
        if (want_grads) {
          recorder.weight_gradient(
              [used, dy, x = kept[0]] { add_weight_gradients(used, dy, x.defined() ? kernels::gemm_operand(x) : x); });
        }
        return dins;
      },
      "grouped_linear");
  return y;
}

}  // namespace rialto::model
