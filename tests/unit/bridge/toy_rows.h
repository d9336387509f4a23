// Rows of a Llama-like family with every op, and maps made at random, for the bridge's tests.
#pragma once

#include <random>

#include "rialto/bridge/plan.h"
#include "tests/unit/spec/toy_models.h"

namespace rialto::test {

inline constexpr bridge::ParamRow kToyRows[] = {
    {"model.embed_tokens.weight", "embedding.word_embeddings.weight"},
    {"model.layers.{l}.input_layernorm.weight", "decoder.layers.{l}.self_attention.linear_qkv.layer_norm_weight"},
    {"model.layers.{l}.self_attn.{q,k,v}_proj.weight", "decoder.layers.{l}.self_attention.linear_qkv.weight",
     bridge::Op::kQkv},
    {"model.layers.{l}.self_attn.{q,k,v}_proj.bias", "decoder.layers.{l}.self_attention.linear_qkv.bias",
     bridge::Op::kQkv},
    {"model.layers.{l}.self_attn.q_norm.weight", "decoder.layers.{l}.self_attention.q_layernorm.weight"},
    {"model.layers.{l}.self_attn.k_norm.weight", "decoder.layers.{l}.self_attention.k_layernorm.weight"},
    {"model.layers.{l}.self_attn.o_proj.weight", "decoder.layers.{l}.self_attention.linear_proj.weight"},
    {"model.layers.{l}.post_attention_layernorm.weight", "decoder.layers.{l}.mlp.linear_fc1.layer_norm_weight"},
    {"model.layers.{l}.mlp.{gate,up}_proj.weight", "decoder.layers.{l}.mlp.linear_fc1.weight", bridge::Op::kGateUp},
    {"model.layers.{l}.mlp.down_proj.weight", "decoder.layers.{l}.mlp.linear_fc2.weight"},
    {"model.norm.weight", "decoder.final_layernorm.weight"},
    {"lm_head.weight", "output_layer.weight", bridge::Op::kSame, bridge::When::kUntied},
    {"lm_head.weight", "embedding.word_embeddings.weight", bridge::Op::kRepeat, bridge::When::kTied},
};

inline std::vector<bridge::SourceTensor> source_of(const bridge::Map& map) {
  std::vector<bridge::SourceTensor> source;
  for (const bridge::TensorInfo& tensor : map.hf) source.push_back({tensor.name, tensor.shape, tensor.dtype});
  return source;
}

/// A complete map of one native tensor: its view is cut at random into boxes, each the whole of an HF tensor whose axes
/// are permuted at random, some boxes being fills.
inline bridge::Map random_map(std::mt19937& random, bool permute, bool fills) {
  const auto draw = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  Shape view(static_cast<size_t>(draw(1, 4)));
  for (int64_t& size : view) size = draw(1, 9);
  bridge::Map map;
  map.native.push_back({"native", view, view, DType::kF32});
  std::vector<bridge::Box> boxes = {{0, Shape(view.size(), 0), view}};
  for (int64_t cuts = draw(0, 6); cuts > 0; --cuts) {
    bridge::Box& box = boxes[static_cast<size_t>(draw(0, static_cast<int64_t>(boxes.size()) - 1))];
    const auto axis = static_cast<size_t>(draw(0, static_cast<int64_t>(view.size()) - 1));
    if (box.hi[axis] - box.lo[axis] < 2) continue;
    bridge::Box right = box;
    right.lo[axis] = box.hi[axis] = draw(box.lo[axis] + 1, box.hi[axis] - 1);
    boxes.push_back(right);
  }
  for (const bridge::Box& box : boxes) {
    if (fills && draw(0, 3) == 0) {
      map.pieces.push_back({.hf = {}, .native = box, .relation = bridge::Relation::kFill, .fill = 0.5});
      continue;
    }
    std::vector<uint8_t> axes(view.size());
    for (size_t axis = 0; axis < axes.size(); ++axis) axes[axis] = static_cast<uint8_t>(axis);
    if (permute) std::shuffle(axes.begin(), axes.end(), random);
    Shape sizes(view.size());
    for (size_t axis = 0; axis < axes.size(); ++axis) sizes[axes[axis]] = box.hi[axis] - box.lo[axis];
    const auto index = static_cast<uint32_t>(map.hf.size());
    map.hf.push_back({"hf." + std::to_string(index), sizes, sizes, DType::kF32});
    map.pieces.push_back({.hf = {index, Shape(view.size(), 0), sizes}, .native = box, .axes = axes});
  }
  return map;
}

}  // namespace rialto::test
