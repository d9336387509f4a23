// The one list of parameters. Names, disk keys and shapes: Megatron-Core 0.16.1 with the TransformerEngine layer spec
// (gpt_layer_specs.py, multi_token_prediction.py); tensor-parallel axes: its column- and row-parallel linears.
#include <fmt/format.h>

#include "rialto/spec/table.h"

namespace rialto::spec {
namespace {

void add_layer(Table& table, const ModelSpec& model, const Scope& at, const Layer& layer) {
  add_mixer(table, at, model.hidden, layer);
  add_ffn(table, at, model.hidden, layer);
}

void add_decoder(Table& table, const ModelSpec& model) {
  const auto num_layers = static_cast<int64_t>(model.layers.size());
  for (int64_t index = 0; index < num_layers; ++index) {
    Scope at{.layer = index, .name = fmt::format("decoder.layers.{}.", index), .key = "decoder.layers."};
    if (model.per_layer_keys)
      at.key = at.name;
    else
      at.axes = {{index, num_layers}};
    add_layer(table, model, at, model.layers[static_cast<size_t>(index)]);
  }
}

/// Blocks of multi-token prediction have no layer axis on disk, whatever the decoder's layers have.
void add_mtp(Table& table, const ModelSpec& model) {
  for (size_t depth = 0; depth < model.mtp.size(); ++depth) {
    const MtpBlock& block = model.mtp[depth];
    const std::string prefix = fmt::format("mtp.layers.{}.", depth);
    const Scope at{.stack = Stack::kMtp, .layer = static_cast<int64_t>(depth), .name = prefix, .key = prefix};
    table.norm(at, "enorm.", model.hidden, block.embedding_norm);
    table.norm(at, "hnorm.", model.hidden, block.hidden_norm);
    Param& product = table.weight(at, "eh_proj.weight", {model.hidden, 2, model.hidden}, 0);
    product.shape = {model.hidden, 2 * model.hidden};
    add_layer(table, model, at.inside("transformer_layer."), block.layer);
    table.norm(at, "final_layernorm.", model.hidden, block.final_norm);
  }
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

const Layer* layer_of(const Param& param, const ModelSpec& model) {
  const auto index = static_cast<size_t>(param.layer);
  if (param.stack == Stack::kDecoder) return &model.layers.at(index);
  if (param.stack == Stack::kMtp) return &model.mtp.at(index).layer;
  return nullptr;
}

std::vector<Param> param_table(const ModelSpec& model, const Layout&) {
  Table table;
  const Scope embedding{.stack = Stack::kEmbedding, .name = "embedding.", .key = "embedding."};
  table.weight(embedding, "word_embeddings.weight", {model.vocab, model.hidden}, 0).tied_head = model.tied;
  add_decoder(table, model);
  const Scope decoder{.stack = Stack::kHead, .name = "decoder.", .key = "decoder."};
  table.norm(decoder, "final_layernorm.", model.hidden, model.final_norm);
  add_mtp(table, model);
  const Scope head{.stack = Stack::kHead, .name = "", .key = ""};
  if (!model.tied) table.weight(head, "output_layer.weight", {model.vocab, model.hidden}, 0);
  return std::move(table.params);
}

}  // namespace rialto::spec
