// The one linear Function.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/model/functions.h"

namespace rialto::model {

at::Tensor linear(const Recorder& recorder, const at::Tensor& x_TI, const Linear& layer) {
  const Weight& weight = *layer.weight;
  at::Tensor y;
  {
    const at::Tensor bias = layer.bias ? layer.bias->data : at::Tensor();
    Tape tape(recorder, {x_TI, weight.data, bias});
    kernels::GemmRecipe recipe = layer.recipe;
    recipe.observes = tape.active();  // evaluation leaves no trace
    y = kernels::gemm_forward(x_TI, weight.data, bias, x_TI.scalar_type(), recipe);
    const bool want_dx = tape.wants(0), want_dw = tape.wants(1), want_db = tape.wants(2);
    tape.keep(want_dw ? x_TI : at::Tensor(), "linear.input");
    tape.record(
        {y},
        [recorder, want_dx, want_dw, want_db, w = weight.data, dw = weight.main_grad,
         db = layer.bias ? layer.bias->main_grad : at::Tensor(), recipe,
         type = x_TI.scalar_type()](const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
          const at::Tensor dy = kernels::gemm_operand(douts[0]);  // once for both products
          Grads dins(3);
          if (want_dx) dins[0] = kernels::gemm_grad_input(dy, w, type, recipe);
          if (want_dw) recorder.weight_gradient([=, x = kept[0]] { kernels::gemm_grad_weight(dw, dy, x, recipe); });
          if (want_db) recorder.weight_gradient([=] { kernels::bias_grad(db, dy); });
          return dins;
        },
        "linear");
  }
  return layer.adapter ? at::add(y, layer.adapter->delta(recorder, x_TI)) : y;
}

}  // namespace rialto::model
