// Rows of dense blocks and of experts. Names: Megatron-Core mlp.py, moe/router.py, moe/experts.py,
// moe/shared_experts.py.
#include <fmt/format.h>

#include "rialto/spec/table.h"

namespace rialto::spec {
namespace {

/// Two products. In memory an expert's are numbered members of the grouped linear, on disk an index on an expert axis.
struct Mlp {
  int64_t hidden = 0, width = 0;
  bool gated = true, bias = false;
};

/// linear_fc1 rows: all of gate, then all of up; without a gate, up alone.
void add_mlp(Table& table, const Scope& at, const Mlp& mlp) {
  const std::string number = at.expert < 0 ? "" : std::to_string(at.expert);
  const auto in_grid = [&](Param& param, std::string_view module, std::string_view leaf) {
    param.name = fmt::format("{}{}.{}{}", at.name, module, leaf, number);
    param.expert_sharded = at.expert >= 0;
  };
  Shape view{mlp.width, mlp.hidden};
  if (mlp.gated) view.insert(view.begin(), 2);
  const int tp_axis = mlp.gated ? 1 : 0;
  in_grid(table.weight(at, "linear_fc1.weight", view, tp_axis), "linear_fc1", "weight");
  view.pop_back();
  if (mlp.bias) in_grid(table.vector(at, "linear_fc1.bias", view, tp_axis, Init::kZeros), "linear_fc1", "bias");
  in_grid(table.weight(at, "linear_fc2.weight", {mlp.hidden, mlp.width}, 1, Init::kResidual), "linear_fc2", "weight");
  if (mlp.bias) in_grid(table.vector(at, "linear_fc2.bias", {mlp.hidden}, {}, Init::kZeros), "linear_fc2", "bias");
}

void add_block(Table& table, const Scope& at, int64_t hidden, const Layer& layer, const DenseFfn& ffn) {
  // Where attention has its norm apart (latent attention), the local spec has the MLP's apart too.
  const bool apart = std::holds_alternative<LatentAttention>(layer.mixer);
  if (layer.ffn_norm)
    table.norm(at, "mlp.linear_fc1.layer_norm_", hidden, *layer.ffn_norm, apart ? "pre_mlp_layernorm." : "");
  add_mlp(table, at.inside("mlp."), {hidden, ffn.hidden, ffn.gated});
}

void add_router(Table& table, const Scope& at, int64_t hidden, const MoeFfn& moe) {
  table.weight(at, "mlp.router.weight", {moe.num_experts, hidden}, {}).sequence_parallel_sum = true;
  if (moe.router.linear_bias) table.vector(at, "mlp.router.bias", {moe.num_experts}, {}, Init::kNormal);
  if (!moe.router.selection_bias) return;
  Param& bias = table.vector(at, "mlp.router.expert_bias", {moe.num_experts}, {}, Init::kZeros);
  bias.buffer = true;
  bias.pinned_dtype = DType::kF32;
  bias.sequence_parallel_sum = false;
}

void add_block(Table& table, const Scope& at, int64_t hidden, const Layer& layer, const MoeFfn& moe) {
  if (layer.ffn_norm) table.norm(at, "pre_mlp_layernorm.", hidden, *layer.ffn_norm, "mlp.linear_fc1.layer_norm_");
  add_router(table, at, hidden, moe);
  if (moe.shared_hidden > 0) {
    add_mlp(table, at.inside("mlp.shared_experts."), {hidden, moe.shared_hidden});
    if (moe.shared_gate)
      table.weight(at, "mlp.shared_experts.gate_weight", {1, hidden}, {}).sequence_parallel_sum = true;
  }
  Scope scope = at;
  scope.name += "mlp.experts.";
  scope.key += "mlp.experts.experts.";
  scope.axes.push_back({0, moe.num_experts});
  for (int64_t expert = 0; expert < moe.num_experts; ++expert) {
    scope.axes.back().index = scope.expert = expert;
    add_mlp(table, scope, {hidden, moe.expert_hidden, true, moe.expert_bias});
  }
}

}  // namespace

void add_ffn(Table& table, const Scope& at, int64_t hidden, const Layer& layer) {
  std::visit([&](const auto& ffn) { add_block(table, at, hidden, layer, ffn); }, layer.ffn);
  if (layer.ffn_post_norm) table.norm(at, "mlp.linear_fc2.post_layernorm.", hidden, *layer.ffn_post_norm);
}

}  // namespace rialto::spec
