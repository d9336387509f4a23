// run_config.yaml: what we write reads back as the same model; what Bridge writes is understood or refused by key.
#include <gmock/gmock.h>

#include "rialto/resolve/resolve.h"
#include "tests/unit/resolve/complaint.h"
#include "tests/unit/resolve/configs.h"

namespace rialto::resolve {
namespace {

using spec::Attention;
using testing::HasSubstr;

spec::ModelSpec model_of(const std::string& family) {
  return model_from_hf(test::config_of(family), "config.json").model;
}
spec::ModelSpec read(const std::string& yaml) { return model_from_run_config(parse_yaml(yaml, "run_config.yaml")); }

/// What Megatron Bridge 0.3.1 writes for a Llama toy, shortened to the keys that decide.
constexpr const char* kBridge = R"(_target_: megatron.bridge.training.config.ConfigContainer
checkpoint:
  save_rng: false
model:
  _target_: megatron.bridge.models.gpt_provider.GPTModelProvider
  activation_func:
    _call_: false
    _target_: torch.nn.functional.silu
  add_bias_linear: false
  add_qkv_bias: false
  attention_backend:
    _args_:
    - 5
    _call_: true
    _target_: megatron.core.transformer.enums.AttnBackend
  attention_dropout: 0.0
  ffn_hidden_size: 96
  gated_linear_unit: true
  glu_linear_offset: 0.0
  hidden_dropout: 0.0
  hidden_size: 64
  init_method_std: 0.02
  kv_channels: 16
  layernorm_epsilon: 1.0e-05
  mtp_num_layers: null
  normalization: RMSNorm
  num_attention_heads: 4
  num_layers: 4
  num_moe_experts: null
  num_query_groups: 2
  params_dtype:
    _call_: false
    _target_: torch.bfloat16
  position_embedding_type: rope
  qk_layernorm: false
  rope_scaling: true
  rope_scaling_factor: 8.0
  rotary_base: 500000.0
  rotary_percent: 1.0
  seq_length: 131072
  share_embeddings_and_output_weights: false
  softmax_scale: null
  vocab_size: 320
  window_attn_skip_freq: null
  window_size: null
)";

/// The same with one line of the model section replaced (or, with an empty `line`, removed).
std::string with(const std::string& key, const std::string& value) {
  std::string yaml = kBridge;
  const size_t begin = yaml.find("\n  " + key + ":");
  EXPECT_NE(begin, std::string::npos) << key;
  size_t end = begin;
  do end = yaml.find('\n', end + 1);
  while (yaml.compare(end, 5, "\n    ") == 0);
  return yaml.replace(begin, end - begin, value.empty() ? "" : "\n  " + key + ": " + value);
}

std::string complaint(const std::string& yaml) {
  return test::complaint_of([&] { read(yaml); });
}

TEST(RunConfig, EveryFamilyRoundTrips) {
  for (const std::string family : test::kFamilies)
    for (const bool tied : {false, true})
      for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
        spec::ModelSpec model = model_of(family);
        model.tied = tied;
        model.dtype = dtype;
        model.bos_token_id.reset();
        EXPECT_EQ(read(run_config_from_model(model)), model) << family;
      }
}

TEST(RunConfig, RopeScalingsRoundTrip) {
  for (const spec::RopeScaling& scaling :
       {spec::RopeScaling(spec::LinearScaling{2.5}), spec::RopeScaling(spec::Llama3Scaling{32, 1, 4, 8192}),
        spec::RopeScaling(spec::Llama3Scaling{8, 2, 3, 16})}) {
    spec::ModelSpec model = model_of("llama");
    for (spec::Layer& layer : model.layers) std::get<Attention>(layer.mixer).rope->scaling = scaling;
    EXPECT_EQ(read(run_config_from_model(model)), model);
  }
  spec::ModelSpec model = model_of("llama");
  for (spec::Layer& layer : model.layers)
    std::get<Attention>(layer.mixer).rope->scaling = spec::Llama3Scaling{8, 2, 3, 16};
  EXPECT_THAT(run_config_from_model(model), HasSubstr("its logits will differ"));
}

TEST(RunConfig, WindowsCountAsMegatronCounts) {
  EXPECT_THAT(run_config_from_model(model_of("mistral")),
              HasSubstr("window_size: [4, 0]"));  // 5 keys, itself among them
  EXPECT_EQ(std::get<Attention>(read(with("window_size", "[4, 0]")).layers[0].mixer).window, 5);
  EXPECT_EQ(read(with("window_size", "[4, 0]")).family, "mistral");
  Json json = test::config_of("qwen3");
  json["use_sliding_window"] = true;
  json["sliding_window"] = 9;
  json["layer_types"] = {"sliding_attention", "full_attention", "sliding_attention", "full_attention"};
  const spec::ModelSpec model = model_from_hf(json, "a").model;
  const std::string yaml = run_config_from_model(model);
  EXPECT_THAT(yaml, HasSubstr("window_attn_skip_freq: [1, 0, 1, 0]"));
  EXPECT_EQ(read(yaml), model);
}

TEST(RunConfig, SkippingEveryNthLayer) {
  std::string yaml = with("window_size", "{_args_: [[4, 0]], _call_: true, _target_: builtins.tuple}");
  yaml.replace(yaml.find("window_attn_skip_freq: null"), 27, "window_attn_skip_freq: 2");
  const spec::ModelSpec model = read(yaml);
  for (size_t layer = 0; layer < 4; ++layer)
    EXPECT_EQ(std::get<Attention>(model.layers[layer].mixer).window,
              layer % 2 == 0 ? std::optional<int64_t>(5) : std::nullopt);
}

TEST(RunConfig, GivenSectionsReplaceOurs) {
  const std::string yaml =
      run_config_from_model(model_of("llama"), "checkpoint:\n  save_rng: true\ntrain:\n  train_iters: 3");
  const Node node = parse_yaml(yaml, "x");
  EXPECT_TRUE(node.find("checkpoint")->find("save_rng")->boolean);
  EXPECT_EQ(node.find("train")->find("train_iters")->integer, 3);
  for (const char* section :
       {"model", "optimizer", "scheduler", "dataset", "ddp", "rng", "tokenizer", "peft", "rialto"})
    EXPECT_NE(node.find(section), nullptr) << section;
  EXPECT_THROW(run_config_from_model(model_of("llama"), "model:\n  num_layers: 3\n"), Error);
  const Node plain = parse_yaml(run_config_from_model(model_of("llama")), "x");
  EXPECT_FALSE(plain.find("checkpoint")->find("save_rng")->boolean);
  EXPECT_FALSE(plain.find("checkpoint")->find("save_optim")->boolean);
  EXPECT_TRUE(plain.find("checkpoint")->find("fully_parallel_save")->boolean);
  EXPECT_GE(plain.find("model")->keys.size(), 25u);
}

TEST(RunConfig, ReadsWhatBridgeWrites) {
  const spec::ModelSpec model = read(kBridge);
  EXPECT_EQ(model.family, "llama");
  EXPECT_EQ(model.hidden, 64);
  EXPECT_EQ(model.vocab, 320);
  EXPECT_EQ(model.dtype, DType::kBF16);
  EXPECT_EQ(model.final_norm.eps, 1e-5);
  const Attention& attention = std::get<Attention>(model.layers[3].mixer);
  EXPECT_EQ(std::get<spec::Llama3Scaling>(attention.rope->scaling), spec::Llama3Scaling{});
  EXPECT_EQ(attention.rope->base, 500000);
  EXPECT_EQ(read(with("add_qkv_bias", "true")).family, "qwen2");
  EXPECT_EQ(read(with("qk_layernorm", "true")).family, "qwen3");
  EXPECT_EQ(read(with("rotary_percent", "0.5")).family,
            "phi3");  // of dense models with RMSNorm, only Phi turns a share
  const spec::ModelSpec experts = read(with("num_moe_experts", "8"));  // as wide as dense layers, two for a token
  EXPECT_EQ(std::get<spec::MoeFfn>(experts.layers[0].ffn).expert_hidden, 96);
  EXPECT_EQ(std::get<spec::MoeFfn>(experts.layers[0].ffn).router.top_k, 2);
  EXPECT_EQ(std::get<Attention>(read(with("num_query_groups", "null")).layers[0].mixer).num_groups, 4);
  EXPECT_EQ(read(with("share_embeddings_and_output_weights", "")).tied, true);  // Megatron's default
}

TEST(RunConfig, WhatCannotBeDerivedIsNamed) {
  for (const char* key : {"num_layers", "hidden_size", "num_attention_heads", "ffn_hidden_size", "vocab_size",
                          "seq_length", "normalization", "position_embedding_type", "gated_linear_unit",
                          "add_bias_linear", "activation_func", "params_dtype", "_target_"})
    EXPECT_THAT(complaint(with(key, "")), HasSubstr(std::string("'model.") + key + "' is missing")) << key;
}

TEST(RunConfig, OtherModelsAreRefusedByKeyAndLine) {
  const struct {
    const char* key;
    const char* value;
  } cases[] = {{"normalization", "LayerNorm"},
               {"num_moe_experts", "0"},
               {"mtp_num_layers", "1"},
               {"rotary_percent", "0.45"},
               {"softmax_scale", "0.1"},
               {"glu_linear_offset", "1.0"},
               {"add_bias_linear", "true"},
               {"gated_linear_unit", "false"},
               {"activation_func", "{_call_: false, _target_: torch.nn.functional.gelu}"},
               {"_target_", "os.system"},
               {"_target_", "megatron.bridge.models.MambaModelProvider"},
               {"window_size", "[4, 4]"},
               {"window_size", "[-1, 0]"},
               {"window_size", "7"},
               {"num_layers", "0"},
               {"num_layers", "999999999"},
               {"num_layers", "four"},
               {"num_query_groups", "3"},
               {"params_dtype", "torch.int8"},
               {"kv_channels", "7"},
               {"rotary_base", "-1"},
               {"position_embedding_type", "learned_absolute"},
               {"hidden_size", "[1]"},
               {"rope_scaling", "3"}};
  for (const auto& test_case : cases)
    EXPECT_THAT(complaint(with(test_case.key, test_case.value)), HasSubstr("run_config.yaml:"))
        << test_case.key << " " << test_case.value;
  EXPECT_THAT(complaint("train: null\n"), HasSubstr("no 'model:' section"));
  EXPECT_THAT(complaint("model: 3\n"), HasSubstr("not a map"));
}

}  // namespace
}  // namespace rialto::resolve
