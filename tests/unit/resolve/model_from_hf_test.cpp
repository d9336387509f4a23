// config.json -> ModelSpec: both spellings of every version, defaults, windows, and refusals that name the key.
#include <cmath>

#include <gmock/gmock.h>

#include "rialto/resolve/resolve.h"
#include "tests/unit/resolve/complaint.h"
#include "tests/unit/resolve/configs.h"

namespace rialto::resolve {
namespace {

using spec::Attention;
using test::config_of;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

spec::ModelSpec model_of(const Json& json) { return model_from_hf(json, "config.json").model; }
const Attention& attention_of(const spec::ModelSpec& model, size_t layer = 0) {
  return std::get<Attention>(model.layers.at(layer).mixer);
}

std::string complaint(const Json& json) {
  return test::complaint_of([&] { model_of(json); });
}
std::string complaint_with(const std::string& family, const std::string& key, const Json& value) {
  Json json = config_of(family);
  json[key] = value;
  return complaint(json);
}

TEST(ModelFromHf, EveryFamilyHasItsParts) {
  for (const std::string family : test::kFamilies) {
    const Resolved resolved = model_from_hf(config_of(family), "config.json");
    const spec::ModelSpec& model = resolved.model;
    EXPECT_EQ(resolved.family->name, family);
    EXPECT_EQ(model.family, family);
    EXPECT_EQ(model.layers.size(), 4u);
    EXPECT_EQ(model.vocab, 50);
    EXPECT_EQ(model.eos_token_ids, std::vector<int64_t>{2});
    EXPECT_EQ(model.bos_token_id, 1);
    const Attention& attention = attention_of(model, 3);
    EXPECT_EQ(attention.head_dim, 8);
    EXPECT_EQ(attention.num_groups, 2);
    EXPECT_DOUBLE_EQ(attention.softmax_scale, 1 / std::sqrt(8.0));
    EXPECT_EQ(attention.rope->base, 5000);
    EXPECT_EQ(attention.rope->dim, 8);
    EXPECT_EQ(attention.qkv_bias, family == "qwen2");
    EXPECT_EQ(attention.qk_norm.has_value(), family == "qwen3");
    EXPECT_EQ(attention.window, family == "mistral" ? std::optional<int64_t>(5) : std::nullopt);
    EXPECT_EQ(std::get<spec::DenseFfn>(model.layers[0].ffn).hidden, 20);
  }
}

TEST(ModelFromHf, OldAndNewSpellingsAgree) {
  for (const std::string family : test::kFamilies) {
    Json now = config_of(family), old = now;
    now["rope_parameters"] = {{"rope_type", "llama3"},   {"rope_theta", 5000.0},
                              {"factor", 32.0},          {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0}, {"original_max_position_embeddings", 16}};
    old.erase("rope_parameters");
    old["rope_theta"] = 5000.0;
    old["rope_scaling"] = {{"type", "llama3"},
                           {"factor", 32},
                           {"low_freq_factor", 1},
                           {"high_freq_factor", 4},
                           {"original_max_position_embeddings", 16}};
    old.erase("dtype");
    old["torch_dtype"] = "float32";
    EXPECT_EQ(model_of(now), model_of(old)) << family;
    const spec::ModelSpec model = model_of(now);
    const auto& scaling = std::get<spec::Llama3Scaling>(attention_of(model).rope->scaling);
    EXPECT_EQ(scaling, (spec::Llama3Scaling{32, 1, 4, 16}));
    old["rope_scaling"] = {{"rope_type", "linear"}, {"type", "linear"}, {"factor", 2.5}};
    EXPECT_EQ(std::get<spec::LinearScaling>(attention_of(model_of(old)).rope->scaling).factor, 2.5);
    old["rope_scaling"] = nullptr;
    EXPECT_EQ(model_of(old), model_of(config_of(family)));
  }
}

TEST(ModelFromHf, ScalingLengthDefaultsToMaxPositions) {
  Json json = config_of("llama");
  json["rope_parameters"] = {
      {"rope_type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 1.0}, {"high_freq_factor", 4.0}};
  const spec::ModelSpec model = model_of(json);
  EXPECT_EQ(std::get<spec::Llama3Scaling>(attention_of(model).rope->scaling).original_max_positions, 64);
  EXPECT_EQ(attention_of(model).rope->base, 10000);  // transformers' default when no theta is given
}

TEST(ModelFromHf, DefaultsAreThoseOfTransformers) {
  for (const std::string family : test::kFamilies) {
    Json json = config_of(family);
    for (const char* key : {"head_dim", "num_key_value_heads", "rms_norm_eps", "tie_word_embeddings",
                            "initializer_range", "rope_parameters", "dtype", "bos_token_id", "eos_token_id",
                            "hidden_act", "attention_dropout", "max_position_embeddings", "layer_types"})
      json.erase(key);
    json["num_attention_heads"] = 32;
    json["hidden_size"] = 64;
    const spec::ModelSpec model = model_of(json);
    const Attention& attention = attention_of(model);
    EXPECT_EQ(attention.head_dim, family == "qwen3" ? 128 : 2);
    EXPECT_EQ(attention.num_groups, family == "mistral" ? 8 : 32);
    EXPECT_EQ(model.final_norm.eps, 1e-6);
    EXPECT_FALSE(model.tied);
    EXPECT_EQ(attention.rope->base, 10000);
    EXPECT_EQ(model.dtype, DType::kF32);
    EXPECT_EQ(model.max_positions, family == "llama" ? 2048 : family == "mistral" ? 131072 : 32768);
    EXPECT_EQ(model.eos_token_ids.size(), family == "llama" || family == "mistral" ? 1u : 0u);
  }
  Json json = config_of("mistral");
  json.erase("sliding_window");
  EXPECT_EQ(attention_of(model_of(json)).window, 4096);
  json["sliding_window"] = nullptr;
  EXPECT_EQ(attention_of(model_of(json)).window, std::nullopt);
}

TEST(ModelFromHf, QwenWindowsByListOrByIndex) {
  for (const std::string family : {"qwen2", "qwen3"}) {
    Json json = config_of(family);
    json["use_sliding_window"] = true;
    json["sliding_window"] = 7;
    json["max_window_layers"] = 3;
    json.erase("layer_types");
    const spec::ModelSpec by_index = model_of(json);
    EXPECT_EQ(attention_of(by_index, 2).window, std::nullopt);
    EXPECT_EQ(attention_of(by_index, 3).window, 7);
    json["layer_types"] = {"full_attention", "full_attention", "full_attention", "sliding_attention"};
    EXPECT_EQ(model_of(json), by_index);
    json["layer_types"][0] = "sliding_attention";
    EXPECT_EQ(attention_of(model_of(json), 0).window, 7);
    json["use_sliding_window"] = false;
    EXPECT_THAT(complaint(json), HasSubstr("'layer_types' gives layer 0 a window"));
    json["use_sliding_window"] = true;
    json["layer_types"][0] = "linear_attention";
    EXPECT_THAT(complaint(json), HasSubstr("linear_attention"));
    json["layer_types"] = {"full_attention"};
    EXPECT_THAT(complaint(json), HasSubstr("'layer_types' does not fit"));
  }
}

TEST(ModelFromHf, EosIsOneOrSeveralOrNone) {
  Json json = config_of("llama");
  json["eos_token_id"] = {5, 6};
  EXPECT_EQ(model_of(json).eos_token_ids, (std::vector<int64_t>{5, 6}));
  json["eos_token_id"] = nullptr;
  EXPECT_TRUE(model_of(json).eos_token_ids.empty());
}

TEST(ModelFromHf, UnknownKeysAreRefusedWithTheNearest) {
  EXPECT_THAT(complaint_with("llama", "rope_thetas", 1), HasSubstr("'rope_theta'"));
  EXPECT_THAT(complaint_with("llama", "sliding_window", 4096), HasSubstr("key 'sliding_window'"));
  EXPECT_THAT(complaint_with("qwen2", "attn_logit_softcapping", 50), HasSubstr("attn_logit_softcapping"));
  EXPECT_THAT(complaint_with("mistral", "layer_types", Json::array()), HasSubstr("layer_types"));
}

TEST(ModelFromHf, KeysWithoutInfluenceAreKept) {
  for (const char* key :
       {"_name_or_path", "use_cache", "temperature", "id2label", "auto_map", "pretraining_tp", "torchscript"})
    EXPECT_EQ(complaint_with("llama", key, "anything"), "") << key;
}

TEST(ModelFromHf, MissingSizesAreNamed) {
  for (const std::string family : test::kFamilies)
    for (const char* key :
         {"hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size"}) {
      Json json = config_of(family);
      json.erase(key);
      EXPECT_THAT(complaint(json), HasSubstr(std::string("key '") + key + "' is missing"));
      json[key] = nullptr;
      EXPECT_THAT(complaint(json), HasSubstr(std::string("key '") + key + "' is missing"));
    }
}

TEST(ModelFromHf, ValuesThatWouldBeAnotherModelAreRefused) {
  const struct {
    const char* family;
    const char* key;
    Json value;
  } cases[] = {
      {"llama", "mlp_bias", true},
      {"llama", "attention_bias", true},
      {"qwen3", "attention_bias", true},
      {"llama", "attention_dropout", 0.1},
      {"llama", "hidden_act", "gelu"},
      {"qwen2", "hidden_act", "gelu_pytorch_tanh"},
      {"llama", "partial_rotary_factor", 0.5},
      {"mistral", "is_encoder_decoder", true},
      {"llama", "dtype", "float8_e4m3fn"},
      {"llama", "dtype", "int8"},
      {"llama", "dtype", 16},
      {"llama", "hidden_size", -1},
      {"llama", "hidden_size", 24.0},
      {"llama", "hidden_size", "24"},
      {"llama", "hidden_size", true},
      {"llama", "num_hidden_layers", 1e15},
      {"llama", "num_hidden_layers", 100000000},
      {"llama", "vocab_size", 18446744073709551615u},
      {"llama", "num_key_value_heads", 3},
      {"llama", "num_key_value_heads", 0},
      {"llama", "head_dim", 7},
      {"llama", "rms_norm_eps", -1},
      {"llama", "rms_norm_eps", "1e-5"},
      {"llama", "tie_word_embeddings", 0},
      {"llama", "eos_token_id", "2"},
      {"llama", "eos_token_id", Json{1, -2}},
      {"llama", "rope_theta", 7.0},
      {"llama", "torch_dtype", "bfloat16"},
      {"llama", "rope_scaling", 3},
      {"mistral", "sliding_window", 0},
      {"mistral", "sliding_window", 1.5},
      {"qwen2", "use_sliding_window", "yes"},
      {"llama", "per_layer_config", Json{{"0", 1}}},
  };
  for (const auto& test_case : cases)
    EXPECT_THAT(complaint_with(test_case.family, test_case.key, test_case.value), HasSubstr("[config.json]"))
        << test_case.key << " " << test_case.value.dump();
}

TEST(ModelFromHf, AHeadSizeThatCannotBeDerivedIsRefused) {
  Json json = config_of("llama");
  json["hidden_size"] = 26;
  EXPECT_EQ(complaint(json), "");
  json["head_dim"] = nullptr;
  EXPECT_THAT(complaint(json), HasSubstr("no head_dim is given"));
}

TEST(ModelFromHf, NullTypeIsFloat32) {
  Json json = config_of("llama");
  json["dtype"] = nullptr;
  EXPECT_EQ(model_of(json).dtype, DType::kF32);
}

TEST(ModelFromHf, RopeTypesAreNamedWhenRefused) {
  for (const char* type : {"dynamic", "longrope", "proportional", "su", "deepseek_yarn"})
    EXPECT_THAT(complaint_with("qwen3", "rope_parameters", Json{{"rope_type", type}, {"factor", 4.0}}),
                HasSubstr(std::string("'") + type + "'"));
  const Json bad[] = {{{"rope_type", "linear"}},
                      {{"rope_type", "linear"}, {"factor", 0}},
                      {{"rope_type", "linear"}, {"factor", "2"}},
                      {{"rope_type", "linear"}, {"factor", 2}, {"beta_fast", 3}},
                      {{"rope_type", "default"}, {"factor", 2}},
                      {{"rope_type", "linear"}, {"type", "llama3"}, {"factor", 2}},
                      {{"rope_type", 3}},
                      {{"rope_type", "llama3"}, {"factor", 8}, {"low_freq_factor", 4}, {"high_freq_factor", 4}},
                      {{"rope_type", "llama3"}, {"factor", 8}, {"low_freq_factor", 1}},
                      {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}},
                      {{"full_attention", {{"rope_type", "default"}}}},
                      Json::array()};
  for (const Json& json : bad)
    EXPECT_THAT(complaint_with("llama", "rope_parameters", json), HasSubstr("'rope_parameters'")) << json.dump();
}

TEST(ModelFromHf, UnknownArchitecturesListTheKnown) {
  Json json = config_of("llama");
  json["architectures"] = {"LlamaForCasualLM"};
  EXPECT_THAT(complaint(json), HasSubstr("the nearest is LlamaForCausalLM"));
  json["architectures"] = {"GPT2LMHeadModel"};
  EXPECT_THAT(complaint(json), HasSubstr("Qwen3ForCausalLM"));
  for (const Json& value : {Json(nullptr), Json("x"), Json::array(), Json::array({3})}) {
    json["architectures"] = value;
    EXPECT_NE(complaint(json), "");
  }
  EXPECT_NE(complaint(Json::array()), "");
}

TEST(ModelFromHf, CodeOfTheRepositoryIsNamedAndNotRun) {
  Json json = config_of("llama");
  json["auto_map"] = {{"AutoConfig", "configuration_foo.FooConfig"},
                      {"AutoModelForCausalLM", "modeling_foo.FooForCausalLM"}};
  EXPECT_EQ(complaint(json), "");  // the architecture is known: no code is needed
  json["architectures"] = {"FooForCausalLM"};
  EXPECT_THAT(complaint(json), AllOf(HasSubstr("'auto_map': modeling_foo.FooForCausalLM"), HasSubstr("is never run"),
                                     HasSubstr("got FooForCausalLM"), HasSubstr("Qwen3ForCausalLM"),
                                     HasSubstr("the nearest is "), HasSubstr("rialto models new NAME --from DIR")));
  for (const Json& value : {Json("modeling_x.X"), Json::array({"modeling_x.X"}), Json{{"AutoModel", "modeling_x.X"}}}) {
    json["auto_map"] = value;
    EXPECT_THAT(complaint(json), HasSubstr("modeling_x.X")) << value;
  }
  for (const Json& value : {Json(nullptr), Json::object()}) {
    json["auto_map"] = value;
    EXPECT_THAT(complaint(json), Not(HasSubstr("auto_map")));
  }
  json["auto_map"] = {{"AutoModel", "modeling_x.X"}};
  json.erase("architectures");
  EXPECT_THAT(complaint(json), AllOf(HasSubstr("does not say which model"), HasSubstr("modeling_x.X")));
}

}  // namespace
}  // namespace rialto::resolve
