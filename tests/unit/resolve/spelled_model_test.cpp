// A model spelled out in a training YAML, and the check of one that was loaded.
#include "rialto/resolve/spelled_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "rialto/config/model_keys.h"
#include "rialto/resolve/model_section.h"
#include "rialto/resolve/resolve.h"
#include "tests/unit/resolve/published.h"

namespace rialto::resolve {
namespace {

using config::ModelSection;
using testing::AllOf;
using testing::HasSubstr;

ModelSection section_of(const std::string& yaml) {
  ModelSection section;
  const Node node = parse_yaml(yaml, "recipe.yaml");
  for (size_t i = 0; i < node.keys.size(); ++i) section.set(node.keys[i], node.items[i]);
  return section;
}

constexpr const char* kTiny = R"(num_layers: 2
hidden_size: 64
ffn_hidden_size: 96
num_attention_heads: 4
num_query_groups: 2
vocab_size: 131
seq_length: 32
)";
ModelSection tiny() { return section_of(kTiny); }
ModelSection tiny(const std::string& key, const std::string& value) {
  ModelSection section = tiny();
  section.set(key, value);
  return section;
}
spec::ModelSpec read(const ModelSection& section) { return model_from_section(section, {}, DType::kF32); }

template <class Act>
std::string message(const Act& act) {
  try {
    act();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig) << error.what();
    return error.what();
  }
  return "accepted";
}
std::string complaint(const ModelSection& section) {
  return message([&] { read(section); });
}

TEST(SpelledModel, SpellsOutEveryLayer) {
  const spec::ModelSpec model = read(tiny());
  ASSERT_EQ(model.layers.size(), 2u);
  const auto& attention = std::get<spec::Attention>(model.layers[1].mixer);
  EXPECT_EQ(attention.head_dim, 16);
  EXPECT_EQ(attention.num_groups, 2);
  EXPECT_EQ(attention.softmax_scale, 0.25);
  EXPECT_EQ(attention.rope, (spec::Rope{.base = 10000, .dim = 16}));
  EXPECT_FALSE(attention.qkv_bias);
  EXPECT_EQ(std::get<spec::DenseFfn>(model.layers[0].ffn).hidden, 96);
  EXPECT_EQ(model.family, "llama");
  EXPECT_EQ(model.vocab, 131);
  EXPECT_FALSE(model.tied);
  EXPECT_EQ(model.dtype, DType::kF32);
}

TEST(SpelledModel, FamiliesBringTheirParts) {
  EXPECT_TRUE(std::get<spec::Attention>(read(tiny("family", "qwen2")).layers[0].mixer).qkv_bias);
  EXPECT_TRUE(std::get<spec::Attention>(read(tiny("family", "qwen3")).layers[0].mixer).qk_norm);
  EXPECT_EQ(read(tiny("_target_", "megatron.bridge.models.gemma.gemma_provider.GemmaModelProvider")).embedding_scale,
            8);
  const spec::ModelSpec nemotron = read(tiny("family", "nemotron"));
  EXPECT_EQ(nemotron.final_norm, (spec::Norm{1e-5, spec::NormKind::kLayer, true, true}));
  EXPECT_FALSE(std::get<spec::DenseFfn>(nemotron.layers[0].ffn).gated);
}

TEST(SpelledModel, WindowsCountAsTransformersCounts) {
  ModelSection section = tiny("family", "mistral");
  section.set("window_size", "9");
  EXPECT_EQ(std::get<spec::Attention>(read(section).layers[1].mixer).window, 9);
  section.set("window_size", "[8, 0]");
  EXPECT_EQ(std::get<spec::Attention>(read(section).layers[1].mixer).window, 9);
  section.set("family", "gemma2");  // every second layer goes without
  EXPECT_EQ(std::get<spec::Attention>(read(section).layers[1].mixer).window, std::nullopt);
}

TEST(SpelledModel, TokenizerStandsInForTheVocabulary) {
  const ModelSection section = tiny("vocab_size", "null");
  EXPECT_EQ(model_from_section(section, 777, DType::kF32).vocab, 777);
  EXPECT_THAT(complaint(section), HasSubstr("model.vocab_size"));
}

TEST(SpelledModel, RefusesWhatDoesNotFit) {
  EXPECT_THAT(complaint(tiny("num_query_groups", "3")), HasSubstr("model.num_query_groups"));
  EXPECT_THAT(complaint(tiny("hidden_size", "66")), HasSubstr("model.kv_channels"));
  EXPECT_THAT(complaint(tiny("kv_channels", "15")), HasSubstr("even head size"));
  EXPECT_THAT(complaint(tiny("num_layers", "0")), HasSubstr("model.num_layers"));
  EXPECT_THAT(complaint(tiny("ffn_hidden_size", "null")), HasSubstr("model.ffn_hidden_size"));
  EXPECT_THAT(complaint(tiny("family", "lama")), AllOf(HasSubstr("model.family"), HasSubstr("llama")));
  EXPECT_THAT(complaint(tiny("qk_layernorm", "true")), AllOf(HasSubstr("model.qk_layernorm"), HasSubstr("Llama")));
}

TEST(SpelledModel, KeysThatSayNothingAreRefusedWithTheirPlace) {
  EXPECT_THAT(complaint(section_of(std::string(kTiny) + "kv_lora_rank: 12\n")),
              AllOf(HasSubstr("recipe.yaml:8"), HasSubstr("'model.kv_lora_rank' says nothing of this model")));
  EXPECT_THAT(complaint(tiny("rope_scaling_factor", "4")), HasSubstr("'model.rope_scaling_factor' says nothing"));
  ModelSection scaled = tiny("rope_scaling_factor", "4");
  scaled.set("rope_scaling", "true");
  EXPECT_NO_THROW(read(scaled));
}

TEST(SpelledModel, MegatronsDefaultsOfAbsentPartsAreNoMistake) {
  for (const auto& [key, value] :
       std::initializer_list<std::pair<const char*, const char*>>{{"rope_scaling_factor", "8.0"},
                                                                  {"moe_layer_freq", "1"},
                                                                  {"moe_router_topk", "2"},
                                                                  {"moe_router_score_function", "softmax"},
                                                                  {"moe_router_pre_softmax", "false"},
                                                                  {"moe_router_enable_expert_bias", "false"}}) {
    EXPECT_EQ(read(tiny(key, value)), read(tiny())) << key;
    EXPECT_NO_THROW(check_against_model(tiny(key, value), read(tiny()))) << key;
  }
  EXPECT_THAT(complaint(tiny("moe_router_topk", "4")), HasSubstr("'model.moe_router_topk' says nothing"));
}

TEST(SpelledModel, AClassThatFamiliesShareLeavesItToTheKeys) {
  ModelSection shared = tiny("_target_", "megatron.bridge.models.gpt_provider.GPTModelProvider");
  EXPECT_THAT(complaint(shared), AllOf(HasSubstr("_target_"), HasSubstr("model.family beside")));
  for (const auto& [key, value] : {std::pair{"normalization", "RMSNorm"},
                                   {"activation_func", "silu"},
                                   {"gated_linear_unit", "true"},
                                   {"position_embedding_type", "rope"},
                                   {"add_bias_linear", "false"}})
    shared.set(key, value);
  EXPECT_EQ(read(shared).family, "llama");
  ModelSection normed = shared;
  normed.set("qk_layernorm", "true");
  EXPECT_EQ(read(normed).family, "qwen3");
  shared.set("family", "mistral");
  EXPECT_EQ(read(shared).family, "mistral");
}

/// Every published model is what its own `model:` section says, in a training YAML with its family.
TEST(SpelledModel, EveryFamilyIsSpelledOut) {
  for (const test::Published& published : test::kPublished) {
    spec::ModelSpec model = model_from_hf(test::published(published.name), "config.json").model;
    model.eos_token_ids.clear();
    model.bos_token_id.reset();
    const Node written = parse_yaml(write_model_section(model), "model section");
    ModelSection section;
    section.set("family", model.family);
    for (const config::ModelKey& key : config::model_keys())
      if (const Node* value = written.find("model")->find(key.key)) section.set(key.key, *value);
    const std::string text =
        message([&] { EXPECT_EQ(model_from_section(section, {}, model.dtype), model) << published.name; });
    if (std::string(published.name) == "Phi-4 mini")
      EXPECT_THAT(text, HasSubstr("'model.rope_scaling_type'")) << published.name;
    else
      EXPECT_EQ(text, "accepted") << published.name;
    for (const config::ModelKey& key : config::model_keys()) {  // and each of its keys is said by the loaded model
      if (!section.find(key.key) || key.key == "rope_scaling_type") continue;
      ModelSection one;
      one.set(key.key, *section.find(key.key));
      EXPECT_EQ(message([&] { check_against_model(one, model); }), "accepted") << published.name << " " << key.key;
    }
  }
}

std::string check(const std::string& name, const std::string& key, const std::string& value) {
  const spec::ModelSpec model = model_from_hf(test::published(name), "config.json").model;
  ModelSection section;
  section.set(key, value);
  return message([&] { check_against_model(section, model); });
}

TEST(SpelledModel, LoadedModelMustAgreeWithWhatIsSpelled) {
  const spec::ModelSpec model = read(tiny());
  EXPECT_NO_THROW(check_against_model(tiny(), model));
  EXPECT_NO_THROW(check_against_model(ModelSection{}, model));
  EXPECT_THROW(check_against_model(tiny("num_layers", "3"), model), Error);
  EXPECT_THROW(check_against_model(tiny("rotary_base", "5e5"), model), Error);
  EXPECT_NO_THROW(
      check_against_model(tiny("seq_length", "8"), model));  // training length, not a property of the weights
  EXPECT_THROW(check_against_model(tiny("family", "qwen3"), model), Error);
}

TEST(SpelledModel, EveryKeyOfALoadedModelIsCompared) {
  const struct {
    const char *name, *key, *wrong, *right;
  } cases[] = {{"DeepSeek V3", "kv_lora_rank", "511", "512"},
               {"DeepSeek V3", "moe_router_num_groups", "4", "8"},
               {"DeepSeek V3", "moe_layer_freq", "1", "null"},
               {"DeepSeek V3", "mtp_num_layers", "2", "1"},
               {"DeepSeek V3", "rotary_scaling_factor", "4", "40"},
               {"Gemma 3 1B", "rotary_base", "[10000, 5000]", "[10000, 1000000]"},
               {"Gemma 3 1B", "window_size", "511", "512"},
               {"Gemma 3 1B", "seq_len_interpolation_factor", "4", "8"},
               {"GPT-OSS 20B", "softmax_type", "vanilla", "learnable"},
               {"GPT-OSS 20B", "activation_func_clamp_value", "6", "7"},
               {"GPT-OSS 20B", "window_attn_skip_freq", "3", "2"},
               {"Minitron 4B", "rotary_percent", "1", "0.5"},
               {"Minitron 4B", "activation_func", "silu", "squared_relu"},
               {"GLM-4.5", "add_qkv_bias", "false", "true"},
               {"Qwen 3 30B-A3B", "moe_router_pre_softmax", "true", "false"},
               {"Qwen 3 30B-A3B", "kv_lora_rank", "512", "null"}};
  for (const auto& test : cases) {
    EXPECT_THAT(check(test.name, test.key, test.wrong), HasSubstr(std::string("'model.") + test.key + "'"))
        << test.name;
    EXPECT_EQ(check(test.name, test.key, test.right), "accepted") << test.name;
  }
}

}  // namespace
}  // namespace rialto::resolve
