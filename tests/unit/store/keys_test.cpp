// Chunks of parameters, and the spellings a key may have.
#include "rialto/store/param_keys.h"
#include "tests/unit/store/toy.h"

namespace rialto::store {
namespace {

spec::Param param_named(const std::string& name, bool per_layer) {
  for (const spec::Param& param : spec::param_table(toy_model(per_layer)))
    if (param.name == name) return param;
  throw std::runtime_error(name);
}

TEST(Keys, ChunkOfAStackedParameter) {
  const ChunkSpec chunk =
      chunk_of(param_named("decoder.layers.2.mlp.linear_fc2.weight", false), DType::kF32, "optimizer.state.exp_avg.");
  EXPECT_EQ(chunk.key, "optimizer.state.exp_avg.decoder.layers.mlp.linear_fc2.weight");
  EXPECT_EQ(chunk.shape, (Shape{3, 8, 10}));
  EXPECT_EQ(chunk.offsets, (Shape{2, 0, 0}));
  EXPECT_EQ(chunk.sizes, (Shape{1, 8, 10}));
}

TEST(Keys, StackedTriesPerLayer) {
  const auto candidates = key_candidates(param_named("decoder.layers.2.mlp.linear_fc1.layer_norm_weight", false), "");
  std::vector<std::string> keys;
  for (const KeyCandidate& candidate : candidates) keys.push_back(candidate.key);
  EXPECT_EQ(keys,
            (std::vector<std::string>{
                "decoder.layers.mlp.linear_fc1.layer_norm_weight", "decoder.layers.pre_mlp_layernorm.weight",
                "decoder.layers.2.mlp.linear_fc1.layer_norm_weight", "decoder.layers.2.pre_mlp_layernorm.weight"}));
  EXPECT_EQ(candidates[0].axes.size(), 1u);
  EXPECT_TRUE(candidates[2].axes.empty());
}

TEST(Keys, PerLayerTriesStacked) {
  const auto candidates = key_candidates(param_named("decoder.layers.2.mlp.linear_fc2.weight", true), "p.");
  ASSERT_EQ(candidates.size(), 2u);
  EXPECT_EQ(candidates[1].key, "p.decoder.layers.mlp.linear_fc2.weight");
  ASSERT_EQ(candidates[1].axes.size(), 1u);
  EXPECT_EQ(candidates[1].axes[0].index, 2);
}

TEST(Keys, TheLayerInsideAPredictionBlockHasANewerName) {
  spec::ModelSpec model = toy_model();
  for (int depth = 0; depth < 2; ++depth) model.mtp.push_back({{}, {}, {}, model.layers.back()});
  const auto keys_of = [&](const std::string& name) {
    std::vector<std::string> keys;
    for (const spec::Param& param : spec::param_table(model))
      if (param.name == name)
        for (const KeyCandidate& candidate : key_candidates(param, "p.")) keys.push_back(candidate.key);
    return keys;
  };
  EXPECT_EQ(keys_of("mtp.layers.1.transformer_layer.mlp.linear_fc1.layer_norm_weight"),
            (std::vector<std::string>{"p.mtp.layers.1.transformer_layer.mlp.linear_fc1.layer_norm_weight",
                                      "p.mtp.layers.1.transformer_layer.pre_mlp_layernorm.weight",
                                      "p.mtp.layers.1.mtp_model_layer.mlp.linear_fc1.layer_norm_weight",
                                      "p.mtp.layers.1.mtp_model_layer.pre_mlp_layernorm.weight"}));
  EXPECT_EQ(keys_of("mtp.layers.0.eh_proj.weight"), std::vector<std::string>{"p.mtp.layers.0.eh_proj.weight"});
}

TEST(Keys, OutsideTheLayersThereIsOne) {
  EXPECT_EQ(key_candidates(param_named("embedding.word_embeddings.weight", false), "").size(), 1u);
}

}  // namespace
}  // namespace rialto::store
