// The canonical config.json: what it says is the model, and what it cannot say is refused.
#include <gmock/gmock.h>

#include "rialto/resolve/resolve.h"
#include "tests/unit/resolve/configs.h"

namespace rialto::resolve {
namespace {

using testing::HasSubstr;

TEST(HfFromModel, RoundTripsEveryFamily) {
  for (const std::string family : test::kFamilies)
    for (const bool tied : {false, true}) {
      Json json = test::config_of(family);
      json["tie_word_embeddings"] = tied;
      json["dtype"] = "bfloat16";
      json["eos_token_id"] = {4, 5};
      json["rope_parameters"] = {{"rope_type", "linear"}, {"rope_theta", 1e6}, {"factor", 2.0}};
      const spec::ModelSpec model = model_from_hf(json, "a").model;
      const Json written = hf_from_model(model);
      EXPECT_EQ(model_from_hf(written, "b").model, model);
      EXPECT_EQ(written["rope_scaling"]["rope_type"], "linear");
      EXPECT_FALSE(written.contains("rope_parameters"));
      EXPECT_EQ(written["torch_dtype"], "bfloat16");
      EXPECT_EQ(written["model_type"], family);
      EXPECT_EQ(written["attention_dropout"], 0.0);
    }
}

TEST(HfFromModel, KeysAreSortedAsTransformersSortsThem) {
  const Json written = hf_from_model(model_from_hf(test::config_of("qwen3"), "a").model);
  std::string last;
  for (const auto& [key, value] : written.items()) {
    EXPECT_LT(last, key);
    last = key;
  }
}

TEST(HfFromModel, HeadDimIsWrittenWhereItSaysSomething) {
  Json json = test::config_of("qwen2");
  EXPECT_EQ(hf_from_model(model_from_hf(json, "a").model)["head_dim"], 8);
  json["hidden_size"] = 32;
  EXPECT_FALSE(hf_from_model(model_from_hf(json, "a").model).contains("head_dim"));
  json = test::config_of("qwen3");
  json["hidden_size"] = 32;
  EXPECT_EQ(hf_from_model(model_from_hf(json, "a").model)["head_dim"], 8);
}

TEST(HfFromModel, MixedWindowsRoundTripInQwen) {
  Json json = test::config_of("qwen2");
  json["use_sliding_window"] = true;
  json["sliding_window"] = 9;
  json["layer_types"] = {"sliding_attention", "full_attention", "sliding_attention", "full_attention"};
  const spec::ModelSpec model = model_from_hf(json, "a").model;
  EXPECT_EQ(model_from_hf(hf_from_model(model), "b").model, model);
}

TEST(HfFromModel, WhatAFamilyCannotSayIsRefused) {
  const spec::ModelSpec llama = model_from_hf(test::config_of("llama"), "a").model;
  const auto refused = [](spec::ModelSpec model, auto change) {
    change(model);
    try {
      hf_from_model(model);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kConfig);
      return true;
    }
    return false;
  };
  EXPECT_FALSE(refused(llama, [](spec::ModelSpec&) {}));
  EXPECT_TRUE(refused(llama, [](spec::ModelSpec& m) { std::get<spec::Attention>(m.layers[1].mixer).window = 8; }));
  EXPECT_TRUE(refused(llama, [](spec::ModelSpec& m) { std::get<spec::Attention>(m.layers[1].mixer).num_groups = 1; }));
  EXPECT_TRUE(refused(llama, [](spec::ModelSpec& m) { std::get<spec::Attention>(m.layers[0].mixer).qkv_bias = true; }));
  EXPECT_TRUE(refused(llama, [](spec::ModelSpec& m) { std::get<spec::DenseFfn>(m.layers[3].ffn).hidden = 4; }));
  EXPECT_TRUE(refused(llama, [](spec::ModelSpec& m) { m.layers[2].ffn = spec::MoeFfn{}; }));
  EXPECT_TRUE(refused(llama, [](spec::ModelSpec& m) { m.layers[2].ffn_norm->eps = 1e-3; }));
  EXPECT_TRUE(refused(llama, [](spec::ModelSpec& m) { m.layers[0].mixer = spec::LatentAttention{}; }));
  EXPECT_TRUE(refused(llama, [](spec::ModelSpec& m) { m.family = "nobody"; }));
  EXPECT_TRUE(refused(llama, [](spec::ModelSpec& m) { m.layers.clear(); }));
  spec::ModelSpec mistral = model_from_hf(test::config_of("mistral"), "a").model;
  EXPECT_TRUE(refused(mistral, [](spec::ModelSpec& m) { std::get<spec::Attention>(m.layers[1].mixer).window = 6; }));
}

}  // namespace
}  // namespace rialto::resolve
