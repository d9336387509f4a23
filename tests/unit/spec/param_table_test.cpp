// The parameter table against the key tables of real Megatron checkpoints: names, shapes, aliases, counts.
#include <map>
#include <set>

#include <gmock/gmock.h>

#include "rialto/base/error.h"
#include "tests/unit/spec/toy_variants.h"

namespace rialto::spec {
namespace {

using test::find_param;
using testing::ElementsAre;

/// Disk key -> global shape, aliases included; a key that two layers share must have one shape.
std::map<std::string, Shape> disk_keys(const ModelSpec& model) {
  std::map<std::string, Shape> keys;
  for (const Param& param : param_table(model)) {
    std::vector<std::string> names = param.disk.aliases;
    names.push_back(param.disk.key);
    for (const std::string& name : names) {
      const auto [at, fresh] = keys.emplace(name, param.disk.shape(param.shape));
      EXPECT_EQ(at->second, param.disk.shape(param.shape)) << name;
    }
  }
  return keys;
}

std::set<std::string> extra_keys(const ModelSpec& model) {
  std::set<std::string> keys;
  for (const ExtraState& state : extra_state_table(model))
    EXPECT_TRUE(keys.insert(state.full_key()).second) << state.full_key();
  return keys;
}

TEST(ParamTable, DenseOrderIsThatOfAForwardPass) {
  std::vector<std::string> names;
  for (const Param& param : param_table(test::toy_model({.layers = 1, .qkv_bias = true, .qk_norm = true})))
    names.push_back(param.name);
  EXPECT_THAT(
      names,
      ElementsAre(
          "embedding.word_embeddings.weight", "decoder.layers.0.self_attention.linear_qkv.layer_norm_weight",
          "decoder.layers.0.self_attention.linear_qkv.weight", "decoder.layers.0.self_attention.linear_qkv.bias",
          "decoder.layers.0.self_attention.q_layernorm.weight", "decoder.layers.0.self_attention.k_layernorm.weight",
          "decoder.layers.0.self_attention.linear_proj.weight", "decoder.layers.0.mlp.linear_fc1.layer_norm_weight",
          "decoder.layers.0.mlp.linear_fc1.weight", "decoder.layers.0.mlp.linear_fc2.weight",
          "decoder.final_layernorm.weight", "output_layer.weight"));
}

TEST(ParamTable, DenseKeysAreStacked) {
  // The key table of a Llama checkpoint: 9 tensors and 4L + 1 objects.
  const std::map<std::string, Shape> want = {
      {"embedding.word_embeddings.weight", {50, 24}},
      {"decoder.layers.self_attention.linear_qkv.layer_norm_weight", {4, 24}},
      {"decoder.layers.self_attention.linear_qkv.weight", {4, (4 + 2 * 2) * 8, 24}},
      {"decoder.layers.self_attention.linear_proj.weight", {4, 24, 4 * 8}},
      {"decoder.layers.mlp.linear_fc1.layer_norm_weight", {4, 24}},
      {"decoder.layers.mlp.linear_fc1.weight", {4, 2 * 20, 24}},
      {"decoder.layers.mlp.linear_fc2.weight", {4, 24, 20}},
      {"decoder.final_layernorm.weight", {24}},
      {"output_layer.weight", {50, 24}},
  };
  EXPECT_EQ(disk_keys(test::toy_model()), want);
  const std::set<std::string> extra = extra_keys(test::toy_model());
  EXPECT_EQ(extra.size(), 4u * 4 + 1);
  EXPECT_TRUE(extra.contains("decoder.layers.self_attention.linear_proj._extra_state/shard_0_4"));
  EXPECT_TRUE(extra.contains("decoder.layers.mlp.linear_fc2._extra_state/shard_3_4"));
  EXPECT_TRUE(extra.contains("decoder.final_layernorm._extra_state/shard_0_1"));
}

TEST(ParamTable, ViewsFactorShapes) {
  for (const ModelSpec& model :
       {test::toy_model({.qkv_bias = true, .qk_norm = true}), test::toy_moe(), test::toy_mla(),
        test::toy_mla(3, 4, false), test::toy_sinks(), test::toy_layer_norms(), test::with_mtp(test::toy_moe())})
    for (const Param& param : param_table(model)) {
      EXPECT_EQ(num_elements(param.view), num_elements(param.shape)) << param.name;
      int64_t columns = 1;  // trailing axes of the view make the columns of a matrix
      for (size_t axis = param.view.size(); axis-- > 0 && columns < param.shape.back();) columns *= param.view[axis];
      EXPECT_EQ(columns, param.shape.back()) << param.name;
    }
  const std::vector<Param> params = param_table(test::toy_model({.qkv_bias = true}));
  EXPECT_EQ(find_param(params, "decoder.layers.1.self_attention.linear_qkv.weight")->view, (Shape{2, 4, 8, 24}));
  EXPECT_EQ(find_param(params, "decoder.layers.1.self_attention.linear_qkv.bias")->view, (Shape{2, 4, 8}));
  EXPECT_EQ(find_param(params, "decoder.layers.1.mlp.linear_fc1.weight")->view, (Shape{2, 20, 24}));
}

TEST(ParamTable, TiedModelHasNoHeadRow) {
  const std::vector<Param> params = param_table(test::toy_model({.tied = true}));
  EXPECT_EQ(find_param(params, "output_layer.weight"), nullptr);
  EXPECT_TRUE(params.front().tied_head);
  EXPECT_FALSE(param_table(test::toy_model()).front().tied_head);
}

TEST(ParamTable, MoeKeysStackLayersAndExperts) {
  // Qwen3-MoE: 12 tensors, 85 objects at L = 4, E = 8; the local spec asks for the pre-MLP norm by another name.
  const ModelSpec model = test::toy_moe();
  std::map<std::string, Shape> keys = disk_keys(model);
  EXPECT_EQ(keys["decoder.layers.mlp.experts.experts.linear_fc1.weight"], (Shape{4, 8, 24, 24}));
  EXPECT_EQ(keys["decoder.layers.mlp.experts.experts.linear_fc2.weight"], (Shape{4, 8, 24, 12}));
  EXPECT_EQ(keys["decoder.layers.mlp.router.weight"], (Shape{4, 8, 24}));
  EXPECT_EQ(keys["decoder.layers.pre_mlp_layernorm.weight"], (Shape{4, 24}));
  EXPECT_EQ(keys["decoder.layers.self_attention.q_layernorm.weight"], (Shape{4, 8}));
  EXPECT_EQ(keys.erase("decoder.layers.mlp.linear_fc1.layer_norm_weight"), 1u);
  EXPECT_EQ(keys.size(), 12u);
  const std::set<std::string> extra = extra_keys(model);
  EXPECT_EQ(extra.size(), 85u);
  EXPECT_TRUE(extra.contains("decoder.layers.mlp.experts.experts.linear_fc1._extra_state/shard_3.7_4.8"));
  EXPECT_FALSE(extra.contains("decoder.layers.mlp.router._extra_state/shard_0_4"));
  EXPECT_EQ(find_param(param_table(model), "decoder.layers.2.mlp.experts.linear_fc1.weight5")->expert, 5);
}

TEST(ParamTable, MlaKeysCarryTheLayer) {
  // DeepSeek V3: 59 tensors, 84 objects at L = 4, E = 8, one dense layer; the local spec's norms are aliases.
  const ModelSpec model = test::toy_mla();
  std::map<std::string, Shape> keys = disk_keys(model);
  EXPECT_EQ(keys["decoder.layers.0.input_layernorm.weight"], (Shape{24}));
  EXPECT_EQ(keys["decoder.layers.3.self_attention.linear_q_down_proj.weight"], (Shape{10, 24}));
  EXPECT_EQ(keys["decoder.layers.3.self_attention.linear_q_up_proj.weight"], (Shape{4 * 12, 10}));
  EXPECT_EQ(keys["decoder.layers.3.self_attention.linear_kv_down_proj.weight"], (Shape{6 + 4, 24}));
  EXPECT_EQ(keys["decoder.layers.3.self_attention.linear_kv_up_proj.weight"], (Shape{4 * 16, 6}));
  EXPECT_EQ(keys["decoder.layers.3.self_attention.linear_proj.weight"], (Shape{24, 4 * 8}));
  EXPECT_EQ(keys["decoder.layers.1.mlp.experts.experts.linear_fc1.weight"], (Shape{8, 24, 24}));
  EXPECT_EQ(keys["decoder.layers.1.mlp.shared_experts.linear_fc1.weight"], (Shape{28, 24}));
  EXPECT_EQ(keys["decoder.layers.1.mlp.router.expert_bias"], (Shape{8}));
  size_t aliases = 0;
  for (const Param& param : param_table(model)) aliases += param.expert <= 0 ? param.disk.aliases.size() : 0;
  EXPECT_EQ(keys.count("decoder.layers.0.pre_mlp_layernorm.weight"), 1u);
  EXPECT_EQ(keys.count("decoder.layers.2.mlp.linear_fc1.layer_norm_weight"), 1u);
  EXPECT_EQ(keys.count("decoder.layers.2.self_attention.q_layernorm.weight"), 1u);
  EXPECT_EQ(keys.count("decoder.layers.2.self_attention.kv_layernorm.weight"), 1u);
  EXPECT_EQ(aliases, 3u * 4);
  EXPECT_EQ(keys.size() - aliases, 59u);
  const std::set<std::string> extra = extra_keys(model);
  EXPECT_EQ(extra.size(), 84u);
  EXPECT_TRUE(extra.contains("decoder.layers.2.self_attention.linear_q_up_proj._extra_state/shard_0_1"));
  EXPECT_TRUE(extra.contains("decoder.layers.2.mlp.experts.experts.linear_fc2._extra_state/shard_7_8"));
  const Param* bias = find_param(param_table(model), "decoder.layers.1.mlp.router.expert_bias");
  ASSERT_NE(bias, nullptr);
}

TEST(ParamTable, SelectionBiasIsABufferInFp32) {
  const std::vector<Param> params = param_table(test::toy_mla());
  const Param* bias = find_param(params, "decoder.layers.1.mlp.router.expert_bias");
  ASSERT_NE(bias, nullptr);
  EXPECT_TRUE(bias->buffer);
  EXPECT_EQ(bias->pinned_dtype, DType::kF32);
}

TEST(ParamTable, TrainingClasses) {
  const std::vector<Param> params = param_table(test::toy_model({.qkv_bias = true, .qk_norm = true}));
  for (const Param& param : params) {
    const bool matrix = param.shape.size() == 2;
    EXPECT_EQ(param.weight_decay, matrix) << param.name;
    EXPECT_EQ(param.sequence_parallel_sum, param.init == Init::kOnes) << param.name;
    const bool residual = param.name.ends_with("linear_proj.weight") || param.name.ends_with("linear_fc2.weight");
    EXPECT_EQ(param.init == Init::kResidual, residual) << param.name;
    EXPECT_EQ(param.init == Init::kZeros, param.name.ends_with(".bias")) << param.name;
  }
}

TEST(ParamTable, RefusesGroupsThatDoNotDivideHeads) {
  ModelSpec model = test::toy_model({.heads = 4, .groups = 3});
  EXPECT_THROW(param_table(model), Error);
}

}  // namespace
}  // namespace rialto::spec
