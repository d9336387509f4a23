// The one list of parameters. Names, disk keys and shapes: Megatron-Core 0.16.1 with the TransformerEngine layer spec
// (gpt_layer_specs.py); tensor-parallel axes: its column- and row-parallel linears.
#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/spec/param.h"

namespace rialto::spec {
namespace {

/// Where rows are being added: how names and disk keys begin, which axes the disk puts first.
struct Scope {
  Stack stack = Stack::kDecoder;
  int64_t layer = -1;
  std::string name, key;  ///< prefixes, with the last dot
  std::vector<DiskAxis> axes = {};
  int64_t expert = -1;
};

/// A matrix keeps its last axis and joins the others into rows; a vector joins all.
Shape matrix_of(const Shape& view) { return {num_elements(Shape(view.begin(), view.end() - 1)), view.back()}; }

class Table {
 public:
  std::vector<Param> params;

  Param& weight(const Scope& at, std::string_view leaf, Shape view, std::optional<int> tp_axis,
                Init init = Init::kNormal) {
    Param& param = add(at, leaf, std::move(view));
    param.shape = matrix_of(param.view);
    param.tp_axis = tp_axis;
    param.init = init;
    return param;
  }

  /// `alias`: the key under which the local layer spec looks for the same norm.
  void norm(const Scope& at, std::string_view leaf, int64_t width, std::string_view alias = {}) {
    Param& param = add(at, leaf, {width});
    param.weight_decay = false;
    param.sequence_parallel_sum = true;
    param.init = Init::kOnes;
    if (!alias.empty()) param.disk.aliases.push_back(at.key + std::string(alias));
  }

  void column_bias(const Scope& at, std::string_view leaf, Shape view) {
    Param& param = add(at, leaf, std::move(view));
    param.shape = {num_elements(param.view)};
    param.tp_axis = 0;
    param.weight_decay = false;
    param.init = Init::kZeros;
  }

 private:
  Param& add(const Scope& at, std::string_view leaf, Shape view) {
    Param& param = params.emplace_back();
    param.name = at.name + std::string(leaf);
    param.stack = at.stack;
    param.layer = at.layer;
    param.expert = at.expert;
    param.shape = view;
    param.view = std::move(view);
    param.disk.key = at.key + std::string(leaf);
    param.disk.axes = at.axes;
    return param;
  }
};

/// linear_qkv rows: per group its query heads, then its key head, then its value head, d rows each.
void add_mixer(Table& table, const Scope& at, const ModelSpec& model, const Attention& attention) {
  const int64_t heads = attention.num_heads, groups = attention.num_groups, d = attention.head_dim;
  if (groups < 1 || heads < 1 || d < 1 || heads % groups != 0)
    throw Error(ErrorKind::kShape, at.name + "self_attention", "key/value heads do not divide the query heads",
                {.got = fmt::format("{} heads in {} groups of size {}", heads, groups, d)});
  table.norm(at, "self_attention.linear_qkv.layer_norm_weight", model.hidden);
  table.weight(at, "self_attention.linear_qkv.weight", {groups, heads / groups + 2, d, model.hidden}, 0);
  if (attention.qkv_bias) table.column_bias(at, "self_attention.linear_qkv.bias", {groups, heads / groups + 2, d});
  if (attention.qk_norm) {
    table.norm(at, "self_attention.q_layernorm.weight", d);
    table.norm(at, "self_attention.k_layernorm.weight", d);
  }
  table.weight(at, "self_attention.linear_proj.weight", {model.hidden, heads * d}, 1, Init::kResidual);
}

/// Down projections are whole on every tensor-parallel rank; up projections split by heads.
void add_mixer(Table& table, const Scope& at, const ModelSpec& model, const LatentAttention& mla) {
  const int64_t heads = mla.num_heads, qk_dim = mla.qk_nope_dim + mla.qk_rope_dim;
  table.norm(at, "input_layernorm.weight", model.hidden);
  if (mla.q_lora_rank) {
    table.weight(at, "self_attention.linear_q_down_proj.weight", {*mla.q_lora_rank, model.hidden}, {})
        .sequence_parallel_sum = true;
    table.norm(at, "self_attention.linear_q_up_proj.layer_norm_weight", *mla.q_lora_rank,
               "self_attention.q_layernorm.weight");
    table.weight(at, "self_attention.linear_q_up_proj.weight", {heads, qk_dim, *mla.q_lora_rank}, 0);
  } else {
    table.weight(at, "self_attention.linear_q_proj.weight", {heads, qk_dim, model.hidden}, 0);
  }
  table.weight(at, "self_attention.linear_kv_down_proj.weight", {mla.kv_lora_rank + mla.qk_rope_dim, model.hidden}, {})
      .sequence_parallel_sum = true;
  table.norm(at, "self_attention.linear_kv_up_proj.layer_norm_weight", mla.kv_lora_rank,
             "self_attention.kv_layernorm.weight");
  table.weight(at, "self_attention.linear_kv_up_proj.weight",
               {heads, mla.qk_nope_dim + mla.v_head_dim, mla.kv_lora_rank}, 0);
  table.weight(at, "self_attention.linear_proj.weight", {model.hidden, heads * mla.v_head_dim}, 1, Init::kResidual);
}

/// linear_fc1 rows: all of gate, then all of up.
void add_gated_mlp(Table& table, const Scope& at, int64_t hidden, int64_t width, std::string_view weight_leaf) {
  for (auto [module, view, axis, init] : {std::tuple("linear_fc1", Shape{2, width, hidden}, 1, Init::kNormal),
                                          {"linear_fc2", Shape{hidden, width}, 1, Init::kResidual}}) {
    Param& param = table.weight(at, fmt::format("{}.weight", module), view, axis, init);
    param.name = fmt::format("{}{}.{}", at.name, module, weight_leaf);
    param.expert_sharded = at.expert >= 0;
  }
}

Scope inside(const Scope& at, std::string_view module) {
  Scope scope = at;
  scope.name += module;
  scope.key += module;
  return scope;
}

void add_ffn(Table& table, const Scope& at, const ModelSpec& model, const Layer& layer, const DenseFfn& ffn) {
  // Where attention has its norm apart (latent attention), the local spec has the MLP's apart too.
  const bool apart = std::holds_alternative<LatentAttention>(layer.mixer);
  table.norm(at, "mlp.linear_fc1.layer_norm_weight", model.hidden, apart ? "pre_mlp_layernorm.weight" : "");
  add_gated_mlp(table, inside(at, "mlp."), model.hidden, ffn.hidden, "weight");
}

/// In memory an expert is a numbered weight of the grouped linear; on disk it is an index on an expert axis.
void add_ffn(Table& table, const Scope& at, const ModelSpec& model, const Layer&, const MoeFfn& moe) {
  table.norm(at, "pre_mlp_layernorm.weight", model.hidden, "mlp.linear_fc1.layer_norm_weight");
  table.weight(at, "mlp.router.weight", {moe.num_experts, model.hidden}, {}).sequence_parallel_sum = true;
  if (moe.router.selection_bias) {
    table.norm(at, "mlp.router.expert_bias", moe.num_experts);
    Param& bias = table.params.back();
    bias.buffer = true;
    bias.pinned_dtype = DType::kF32;
    bias.sequence_parallel_sum = false;
    bias.init = Init::kZeros;
  }
  if (moe.shared_hidden > 0)
    add_gated_mlp(table, inside(at, "mlp.shared_experts."), model.hidden, moe.shared_hidden, "weight");
  for (int64_t expert = 0; expert < moe.num_experts; ++expert) {
    Scope scope = at;
    scope.name += "mlp.experts.";
    scope.key += "mlp.experts.experts.";
    scope.axes.push_back({expert, moe.num_experts});
    scope.expert = expert;
    add_gated_mlp(table, scope, model.hidden, moe.expert_hidden, fmt::format("weight{}", expert));
  }
}

void add_layer(Table& table, const ModelSpec& model, int64_t index) {
  const Layer& layer = model.layers[static_cast<size_t>(index)];
  Scope at{.layer = index, .name = fmt::format("decoder.layers.{}.", index), .key = "decoder.layers."};
  if (model.per_layer_keys)
    at.key = at.name;
  else
    at.axes = {{index, static_cast<int64_t>(model.layers.size())}};
  std::visit([&](const auto& mixer) { add_mixer(table, at, model, mixer); }, layer.mixer);
  std::visit([&](const auto& ffn) { add_ffn(table, at, model, layer, ffn); }, layer.ffn);
}

}  // namespace

Shape Extent::sizes() const {
  Shape sizes(lo.size());
  for (size_t axis = 0; axis < lo.size(); ++axis) sizes[axis] = hi[axis] - lo[axis];
  return sizes;
}

Shape DiskKey::shape(const Shape& logical) const {
  Shape shape;
  for (const DiskAxis& axis : axes) shape.push_back(axis.size);
  shape.insert(shape.end(), logical.begin(), logical.end());
  return shape;
}

std::vector<Param> param_table(const ModelSpec& model, const Layout&) {
  Table table;
  const Scope embedding{.stack = Stack::kEmbedding, .name = "embedding.", .key = "embedding."};
  table.weight(embedding, "word_embeddings.weight", {model.vocab, model.hidden}, 0).tied_head = model.tied;
  for (int64_t index = 0; index < static_cast<int64_t>(model.layers.size()); ++index) add_layer(table, model, index);
  const Scope decoder{.stack = Stack::kHead, .name = "decoder.", .key = "decoder."};
  table.norm(decoder, "final_layernorm.weight", model.hidden);
  const Scope head{.stack = Stack::kHead, .name = "", .key = ""};
  if (!model.tied) table.weight(head, "output_layer.weight", {model.vocab, model.hidden}, 0);
  return std::move(table.params);
}

}  // namespace rialto::spec
