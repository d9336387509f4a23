// What only some families have: the parameters it adds, how they are stored, spread and started.
#include <set>

#include <gmock/gmock.h>

#include "rialto/spec/flops.h"
#include "tests/unit/spec/toy_variants.h"

namespace rialto::spec {
namespace {

using test::find_param;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::Not;

const Param& need(const std::vector<Param>& params, const std::string& name) {
  const Param* param = find_param(params, name);
  if (!param) throw std::out_of_range(name);
  return *param;
}

std::vector<std::string> names_of(const std::vector<Param>& params) {
  std::vector<std::string> names;
  for (const Param& param : params) names.push_back(param.name);
  return names;
}

TEST(Variants, PostNormsStandBehindTheProductsAndPreNormsMayBeAbsent) {
  const std::vector<Param> params = param_table(test::toy_post_norms());
  std::vector<std::string> layer;
  for (const Param& param : params)
    if (param.layer == 1) layer.push_back(param.name.substr(std::string("decoder.layers.1.").size()));
  EXPECT_THAT(layer, ElementsAre("self_attention.linear_qkv.weight", "self_attention.q_layernorm.weight",
                                 "self_attention.k_layernorm.weight", "self_attention.linear_proj.weight",
                                 "self_attention.linear_proj.post_layernorm.weight", "mlp.linear_fc1.weight",
                                 "mlp.linear_fc2.weight", "mlp.linear_fc2.post_layernorm.weight"));
  const Param& norm = need(params, "decoder.layers.1.mlp.linear_fc2.post_layernorm.weight");
  EXPECT_EQ(norm.disk.key, "decoder.layers.mlp.linear_fc2.post_layernorm.weight");
  EXPECT_EQ(norm.disk.shape(norm.shape), (Shape{2, 24}));
}

TEST(Variants, ZeroCentredNormsStartAtZero) {
  for (const Param& param : param_table(test::toy_post_norms(true))) {
    if (param.shape.size() != 1) continue;
    const bool plain =
        param.name.find(".q_layernorm") != std::string::npos || param.name.find(".k_layernorm") != std::string::npos;
    EXPECT_EQ(param.init, plain ? Init::kOnes : Init::kZeros) << param.name;
  }
}

TEST(Variants, LayerNormsHaveBiasesUnderTheLocalSpecsNameToo) {
  ModelSpec model = test::toy_mla();
  for (Layer& layer : model.layers) layer.mixer_norm = layer.ffn_norm = {.kind = NormKind::kLayer, .bias = true};
  const std::vector<Param> mla = param_table(model);
  EXPECT_THAT(need(mla, "decoder.layers.0.mlp.linear_fc1.layer_norm_bias").disk.aliases,
              ElementsAre("decoder.layers.0.pre_mlp_layernorm.bias"));
  EXPECT_EQ(need(mla, "decoder.layers.2.input_layernorm.bias").init, Init::kZeros);
  const std::vector<Param> params = param_table(test::toy_layer_norms());
  const Param& bias = need(params, "decoder.layers.1.self_attention.linear_qkv.layer_norm_bias");
  EXPECT_EQ(bias.disk.key, "decoder.layers.self_attention.linear_qkv.layer_norm_bias");
  EXPECT_TRUE(bias.sequence_parallel_sum);
  EXPECT_FALSE(bias.weight_decay);
  EXPECT_EQ(need(params, "decoder.final_layernorm.bias").shape, (Shape{24}));
}

TEST(Variants, WithoutAGateTheFirstProductHasOneHalf) {
  const std::vector<Param> params = param_table(test::toy_layer_norms());
  const Param& first = need(params, "decoder.layers.0.mlp.linear_fc1.weight");
  EXPECT_EQ(first.view, (Shape{20, 24}));
  EXPECT_EQ(first.shape, first.view);
  EXPECT_EQ(first.tp_axis, 0);
}

TEST(Variants, SinksAndBiasesOfAttention) {
  const std::vector<Param> params = param_table(test::toy_sinks());
  const Param& sinks = need(params, "decoder.layers.0.self_attention.core_attention.softmax_offset");
  EXPECT_EQ(sinks.shape, (Shape{4}));
  EXPECT_EQ(sinks.tp_axis, 0);
  EXPECT_FALSE(sinks.sequence_parallel_sum);
  const Param& bias = need(params, "decoder.layers.0.self_attention.linear_proj.bias");
  EXPECT_EQ(bias.shape, (Shape{24}));
  EXPECT_FALSE(bias.tp_axis);
  EXPECT_TRUE(bias.sequence_parallel_sum);
}

TEST(Variants, ExpertBiasesAreStackedLikeTheirWeights) {
  const std::vector<Param> params = param_table(test::toy_sinks(2, 4));
  const Param& up = need(params, "decoder.layers.1.mlp.experts.linear_fc1.bias3");
  EXPECT_EQ(up.disk.key, "decoder.layers.mlp.experts.experts.linear_fc1.bias");
  EXPECT_EQ(up.disk.shape(up.shape), (Shape{2, 4, 24}));
  EXPECT_EQ(up.view, (Shape{2, 12}));
  EXPECT_EQ(up.tp_axis, 1);
  EXPECT_TRUE(up.expert_sharded);
  const Param& down = need(params, "decoder.layers.1.mlp.experts.linear_fc2.bias3");
  EXPECT_EQ(down.disk.shape(down.shape), (Shape{2, 4, 24}));
  EXPECT_FALSE(down.tp_axis);
  EXPECT_EQ(down.expert, 3);
  EXPECT_EQ(need(params, "decoder.layers.0.mlp.router.bias").shape, (Shape{4}));
  // Biases add no objects of their own.
  std::set<std::string> objects;
  for (const ExtraState& state : extra_state_table(test::toy_sinks(2, 4)))
    EXPECT_TRUE(objects.insert(state.full_key()).second) << state.full_key();
  EXPECT_THAT(objects, Contains("decoder.layers.self_attention.core_attention._extra_state/shard_1_2"));
  EXPECT_EQ(objects.size(), 2u * (3 + 1 + 2 * 4) + 1);
}

TEST(Variants, FullWidthNormsSplitAsHeadsDo) {
  const std::vector<Param> params = param_table(test::toy_full_width());
  EXPECT_EQ(need(params, "decoder.layers.0.self_attention.q_layernorm.weight").shape, (Shape{32}));
  const Param& key = need(params, "decoder.layers.0.self_attention.k_layernorm.weight");
  EXPECT_EQ(key.shape, (Shape{16}));
  EXPECT_EQ(key.tp_axis, 0);
  EXPECT_FALSE(key.sequence_parallel_sum);
  EXPECT_FALSE(need(param_table(test::toy_moe(1)), "decoder.layers.0.self_attention.k_layernorm.weight").tp_axis);
}

TEST(Variants, TheSharedExpertsGateIsARowWithoutAnObject) {
  const ModelSpec model = test::toy_full_width();
  const std::vector<Param> params = param_table(model);
  const Param& gate = need(params, "decoder.layers.1.mlp.shared_experts.gate_weight");
  EXPECT_EQ(gate.disk.shape(gate.shape), (Shape{2, 1, 24}));
  EXPECT_TRUE(gate.weight_decay && gate.sequence_parallel_sum && !gate.tp_axis);
  for (const ExtraState& state : extra_state_table(model))
    EXPECT_NE(state.key, "decoder.layers.mlp.shared_experts._extra_state");
}

TEST(Variants, PredictionBlocksFollowTheFinalNormWithoutALayerAxis) {
  const ModelSpec model = test::with_mtp(test::toy_moe(3, 4));
  const std::vector<Param> params = param_table(model);
  const std::vector<std::string> names = names_of(params);
  const auto at = [&](const char* name) { return std::find(names.begin(), names.end(), name) - names.begin(); };
  EXPECT_LT(at("decoder.final_layernorm.weight"), at("mtp.layers.0.enorm.weight"));
  EXPECT_LT(at("mtp.layers.1.final_layernorm.weight"), at("output_layer.weight"));
  const Param& product = need(params, "mtp.layers.1.eh_proj.weight");
  EXPECT_EQ(product.shape, (Shape{24, 48}));
  EXPECT_EQ(product.view, (Shape{24, 2, 24}));
  EXPECT_EQ(product.stack, Stack::kMtp);
  EXPECT_EQ(product.layer, 1);
  EXPECT_EQ(layer_of(product, model), &model.mtp[1].layer);
  const Param& expert = need(params, "mtp.layers.1.transformer_layer.mlp.experts.linear_fc2.weight3");
  EXPECT_EQ(expert.disk.key, "mtp.layers.1.transformer_layer.mlp.experts.experts.linear_fc2.weight");
  EXPECT_EQ(expert.disk.shape(expert.shape), (Shape{4, 24, 12}));
  EXPECT_EQ(layer_of(params.front(), model), nullptr);
}

TEST(Variants, PredictionBlocksLiveOnTheLastStageWithTheEmbedding) {
  const ModelSpec model = test::with_mtp(test::toy_moe(4, 4), 1);
  const std::vector<Param> params = param_table(model);
  EXPECT_THAT(stages_of(need(params, "mtp.layers.0.hnorm.weight"), model, {.pp = 2}), ElementsAre(1));
  EXPECT_THAT(stages_of(params.front(), model, {.pp = 2}), ElementsAre(0, 1));
  const Param& expert = need(params, "mtp.layers.0.transformer_layer.mlp.experts.linear_fc1.weight3");
  const Layout layout{.tp = 2, .dp = 2, .pp = 2, .ep = 4};
  for (int rank = 0; rank < layout.world(); ++rank)
    EXPECT_EQ(rank_box(expert, model, layout, coords_of(layout, rank)).has_value(), rank == 7) << rank;
}

TEST(Variants, EveryPartitionTilesTheModel) {
  const Layout layout{.tp = 2, .dp = 2, .ep = 2};
  for (const ModelSpec& model : {test::toy_sinks(), test::toy_full_width(), test::with_mtp(test::toy_mla())})
    for (const Param& param : param_table(model)) {
      int64_t held = 0;
      for (int rank = 0; rank < layout.world(); ++rank)
        if (const auto box = rank_box(param, model, layout, coords_of(layout, rank)))
          held += num_elements(box->sizes());
      const int64_t experts_ranks = layout.world() / layout.ep;
      const int64_t copies = param.expert >= 0 ? experts_ranks : param.tp_axis ? layout.dp : layout.world();
      EXPECT_EQ(held, copies * num_elements(param.shape)) << param.name;
    }
}

TEST(Variants, PredictionCountsItsLayersAndTheHeadAgain) {
  const ModelSpec plain = test::toy_model(), more = test::with_mtp(test::toy_model(), 1);
  const double layer = 64 * 24 + 24 * 32 + 40 * 24 + 24 * 20, products = layer + 24 * 48 + 50 * 24;
  const std::vector<int64_t> token = {1};
  EXPECT_DOUBLE_EQ(FlopCounter(more).exact(token) - FlopCounter(plain).exact(token), 6 * (products + 2 * 32));
  // Megatron counts the block's three norms as well.
  EXPECT_DOUBLE_EQ(FlopCounter(more).megatron(10, 16) - FlopCounter(plain).megatron(10, 16),
                   6 * 10 * (products + 32 * 16 + 3 * 24));
  const ModelSpec tied = test::with_mtp(test::toy_model({.tied = true}), 1);
  EXPECT_DOUBLE_EQ(FlopCounter(tied).megatron(10, 16), FlopCounter(more).megatron(10, 16));
}

TEST(Variants, LatentAttentionCountsItsTwoWidths) {
  // One layer: queries and keys are 12 wide, values 8.
  const ModelSpec model = test::toy_mla(1);
  const double matrices = 10 * 24 + 48 * 10 + 10 * 24 + 64 * 6 + 24 * 32 + 40 * 24 + 24 * 20 + 50 * 24;
  const double pairs = 16 * 17 / 2;
  EXPECT_DOUBLE_EQ(FlopCounter(model).exact(std::vector<int64_t>{16}), 6 * (16 * matrices + 4 * (12 + 8) * pairs));
  // Half of the square of 16 tokens, and the norms of both latents.
  EXPECT_DOUBLE_EQ(FlopCounter(model).megatron(1, 16), 6 * (matrices + 10 + 6 + 4 * (12 + 8) / 2.0 * 16));
}

}  // namespace
}  // namespace rialto::spec
