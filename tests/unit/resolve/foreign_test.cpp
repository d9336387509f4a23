// run_config.yaml of Megatron Bridge for models with experts and latent attention; ours, edited.
#include <cmath>
#include <map>
#include <utility>

#include <gmock/gmock.h>

#include "rialto/resolve/model_section.h"
#include "rialto/resolve/resolve.h"
#include "tests/unit/resolve/complaint.h"
#include "tests/unit/resolve/published.h"

namespace rialto::resolve {
namespace {

using spec::MoeFfn;
using testing::HasSubstr;

constexpr const char* kCommon = R"(  activation_func: {_call_: false, _target_: torch.nn.functional.silu}
  add_bias_linear: false
  attention_dropout: 0.0
  ffn_hidden_size: 96
  gated_linear_unit: true
  hidden_dropout: 0.0
  hidden_size: 64
  layernorm_epsilon: 1.0e-06
  normalization: RMSNorm
  num_attention_heads: 4
  num_layers: 4
  params_dtype: {_call_: false, _target_: torch.bfloat16}
  position_embedding_type: rope
  rotary_base: 10000.0
  seq_length: 4096
  share_embeddings_and_output_weights: false
  vocab_size: 320
  num_moe_experts: 8
  moe_ffn_hidden_size: 24
  moe_router_topk: 2
)";

spec::ModelSpec read(const std::string& own, const std::string& target = "GPTModelProvider") {
  const std::string yaml = "model:\n  _target_: megatron.bridge.models.gpt_provider." + target + "\n" + kCommon + own;
  return model_from_run_config(parse_yaml(yaml, "run_config.yaml"));
}
std::string complaint(const std::string& own) {
  return test::complaint_of([&] { read(own); });
}
const MoeFfn& moe_of(const spec::ModelSpec& model) { return std::get<MoeFfn>(model.layers.back().ffn); }

TEST(Foreign, Qwen3Moe) {
  const spec::ModelSpec model = read("  num_query_groups: 2\n  kv_channels: 8\n  qk_layernorm: true\n");
  EXPECT_EQ(model.family, "qwen3_moe");
  EXPECT_EQ(moe_of(model).router, (spec::Router{.top_k = 2, .renormalize = true}));
  EXPECT_EQ(moe_of(model).expert_hidden, 24);
  EXPECT_FALSE(model.per_layer_keys);
  EXPECT_FALSE(moe_of(read("  qk_layernorm: true\n  moe_router_pre_softmax: true\n")).router.renormalize);
  EXPECT_NO_THROW(hf_from_model(model));
}

TEST(Foreign, MixtralAndOlmoe) {
  const spec::ModelSpec mixtral = read("  window_size: [15, 0]\n");
  EXPECT_EQ(mixtral.family, "mixtral");
  EXPECT_EQ(std::get<spec::Attention>(mixtral.layers[3].mixer).window, 16);
  EXPECT_EQ(hf_from_model(mixtral)["num_local_experts"], 8);
  const spec::ModelSpec olmoe = read("  qk_layernorm: true\n  moe_router_pre_softmax: true\n", "OlMoEModelProvider");
  EXPECT_EQ(olmoe.family, "olmoe");
  EXPECT_EQ(std::get<spec::Attention>(olmoe.layers[0].mixer).qk_norm_width, spec::QkNormWidth::kFull);
  EXPECT_NO_THROW(hf_from_model(olmoe));
}

/// GLM-4.5, MiniMax M2 and others say these; read as Qwen3-MoE they would compute something else.
TEST(Foreign, ExpertsOfOtherFamiliesAreNotGuessed) {
  for (const char* own : {"moe_router_score_function: sigmoid", "moe_router_enable_expert_bias: true",
                          "moe_shared_expert_intermediate_size: 24", "moe_router_num_groups: 4",
                          "moe_router_group_topk: 2", "moe_router_topk_scaling_factor: 2.5"}) {
    const std::string key = std::string(own).substr(0, std::string(own).find(':'));
    EXPECT_THAT(complaint(std::string("  ") + own + "\n"), HasSubstr("'model." + key + "'"));
  }
  EXPECT_NO_THROW(read("  moe_router_score_function: softmax\n  moe_router_enable_expert_bias: false\n"));
}

constexpr const char* kLatent = R"(  multi_latent_attention: true
  q_lora_rank: 20
  kv_lora_rank: 12
  qk_head_dim: 16
  qk_pos_emb_head_dim: 8
  v_head_dim: 10
  rope_type: yarn
  rotary_scaling_factor: 40
  original_max_position_embeddings: 4096
  mscale: 1.0
  mscale_all_dim: 1.0
  moe_shared_expert_intermediate_size: 24
  moe_router_pre_softmax: true
)";
constexpr const char* kSigmoid = R"(  moe_router_score_function: sigmoid
  moe_router_enable_expert_bias: true
  moe_router_num_groups: 4
  moe_router_group_topk: 2
  moe_router_topk_scaling_factor: 2.5
  moe_layer_freq: [0, 1, 1, 1]
  mtp_num_layers: 1
)";

TEST(Foreign, DeepseekV3) {
  const spec::ModelSpec model = read(std::string(kLatent) + kSigmoid, "MLAModelProvider");
  EXPECT_EQ(model.family, "deepseek_v3");
  EXPECT_TRUE(model.per_layer_keys);
  EXPECT_TRUE(std::holds_alternative<spec::DenseFfn>(model.layers[0].ffn));
  EXPECT_EQ(moe_of(model).shared_hidden, 24);
  EXPECT_EQ(moe_of(model).router.scale, 2.5);
  EXPECT_EQ(moe_of(model).router.top_groups, 2);
  EXPECT_EQ(model.mtp.size(), 1u);
  const auto& latent = std::get<spec::LatentAttention>(model.layers[0].mixer);
  const double mscale = 0.1 * std::log(40.0) + 1;
  EXPECT_DOUBLE_EQ(latent.softmax_scale, mscale * mscale / std::sqrt(24.0));
  const Json written = hf_from_model(model);
  EXPECT_EQ(written["first_k_dense_replace"], 1);
  EXPECT_EQ(written["rope_scaling"]["factor"], 40.0);
  EXPECT_EQ(read(kLatent).family, "deepseek_v2");
}

TEST(Foreign, WhatCannotBeDerivedIsRefused) {
  EXPECT_THAT(complaint(std::string(kLatent) + "  moe_layer_freq: [0, 1]\n"), HasSubstr("'model.moe_layer_freq'"));
  EXPECT_THAT(complaint("  moe_layer_freq: 0\n"), HasSubstr("'model.moe_layer_freq'"));
  EXPECT_THAT(complaint("  moe_shared_expert_gate: true\n"), HasSubstr("'model.moe_shared_expert_gate'"));
  EXPECT_THAT(complaint("  mtp_num_layers: 1\n"), HasSubstr("'model.mtp_num_layers'"));
  EXPECT_THAT(complaint("  multi_latent_attention: true\n"), HasSubstr("'model.kv_lora_rank' is missing"));
}

/// Megatron-Core 0.16.1 scales scores by mscale_all_dim, cosines and sines by the quotient of both.
TEST(Foreign, YarnOfLatentAttention) {
  const auto factors = [](const std::string& own) {
    const spec::ModelSpec model = read(
        "  multi_latent_attention: true\n  kv_lora_rank: 4\n  qk_head_dim: 8\n  v_head_dim: 8\n"
        "  qk_pos_emb_head_dim: 8\n  moe_router_pre_softmax: true\n" +
        own);
    const auto& latent = std::get<spec::LatentAttention>(model.layers[0].mixer);
    const auto* yarn = std::get_if<spec::YarnScaling>(&latent.rope->scaling);
    return std::pair(latent.softmax_scale * 4, yarn ? spec::attention_factor(*yarn) : 1);
  };
  const double half = 0.05 * std::log(40.0) + 1, one = 0.1 * std::log(40.0) + 1;
  const auto expect = [](std::pair<double, double> got, double scale, double factor) {
    EXPECT_DOUBLE_EQ(got.first, scale);
    EXPECT_DOUBLE_EQ(got.second, factor);
  };
  expect(factors(""), 1, one);  // mscale 1, mscale_all_dim 0
  expect(factors("  rope_type: rope\n"), 1, 1);
  expect(factors("  mscale: 0.5\n"), 1, half);
  expect(factors("  mscale: 1.0\n  mscale_all_dim: 0.5\n"), half * half, one / half);
  expect(factors("  mscale: 0.0\n  mscale_all_dim: 1.0\n"), one * one, 1 / one);
  EXPECT_THROW(factors("  rope_type: rope\n  mscale_all_dim: 1.0\n"), Error);  // Core scales the scores all the same
}

/// A section of DeepSeek V3 with one text replaced.
spec::ModelSpec edited_v3(const std::string& from, const std::string& to) {
  std::string yaml = write_model_section(model_from_hf(test::published("DeepSeek V3"), "a").model);
  const size_t at = yaml.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return model_from_run_config(parse_yaml(yaml.replace(at, from.size(), to), "run_config.yaml"));
}

/// Core limits groups only `if group_topk` (moe_utils.py).
TEST(Foreign, GroupsCountWhenTheyAreLimited) {
  const spec::ModelSpec model = edited_v3("moe_router_group_topk: 4", "moe_router_group_topk: null");
  EXPECT_EQ(std::get<spec::MoeFfn>(model.layers.back().ffn).router.num_groups, 1);
  EXPECT_THROW(edited_v3("moe_router_num_groups: 8", "moe_router_num_groups: 256"), Error);  // one expert in a group
  EXPECT_THROW(edited_v3("moe_layer_freq: [0, 0, 0, 1,", "moe_layer_freq: [0, 0, 0, 2,"), Error);
}

TEST(Foreign, OursEditedIsRefusedByName) {
  const std::string yaml = run_config_from_model(model_from_hf(test::published("DeepSeek V3"), "a").model);
  const struct {
    const char *from, *to, *key;
  } edits[] = {{"num_moe_experts: 256", "num_moe_experts: 128", "'model.num_moe_experts'"},
               {"kv_lora_rank: 512", "kv_lora_rank: 511", "'model.kv_lora_rank'"},
               {"moe_layer_freq: [0, 0, 0, 1,", "moe_layer_freq: [0, 0, 1, 1,", "'model.moe_layer_freq'"},
               {"  hidden_size: 7168\n", "", "'model.hidden_size'"},
               {"q_lora_rank: 1536", "q_lora_rank: null", "'model.q_lora_rank'"}};
  for (const auto& edit : edits) {
    std::string edited = yaml;
    const size_t at = edited.find(edit.from);
    ASSERT_NE(at, std::string::npos) << edit.from;
    edited.replace(at, std::string(edit.from).size(), edit.to);
    try {
      model_from_run_config(parse_yaml(edited, "run_config.yaml"));
      ADD_FAILURE() << edit.from;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_THAT(error.what(), HasSubstr(edit.key));
    }
  }
}

/// What a `model:` section says, without the config.json that ours has beside it.
std::string outcome(const spec::ModelSpec& model) {
  try {
    spec::ModelSpec read = model_from_run_config(parse_yaml(write_model_section(model), "run_config.yaml"));
    const std::string family = std::exchange(read.family, model.family);
    if (read != model) return "DIFFERENT";
    return family == model.family ? "same" : "as " + family;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput) << error.what();
    return error.what();
  }
}

/// Same files, or (Phi) the same numbers under other names; LongRoPE has no key; what three families compute alike and
/// store differently is asked for.
TEST(Foreign, EveryPublishedModelIsReadBackOrRefused) {
  const std::map<std::string, std::string> others = {{"Kimi K2", "as deepseek_v3"},
                                                     {"GLM-4.7 Flash", "as deepseek_v3"},
                                                     {"Phi-3 mini 4k", "as mistral"},
                                                     {"Phi-4 mini", "'model.rope_scaling_type'"},
                                                     {"GLM-4.5", "want one of glm4_moe, ling,"},
                                                     {"HY3 preview", "want one of glm4_moe, hy_v3, ling,"},
                                                     {"Ling mini 2.0", "want one of glm4_moe, ling,"}};
  size_t asked = 0;
  for (const test::Published& published : test::kPublished) {
    spec::ModelSpec model = model_from_hf(test::published(published.name), "config.json").model;
    model.eos_token_ids.clear();
    model.bos_token_id.reset();
    const auto other = others.find(published.name);
    if (other == others.end()) {
      EXPECT_EQ(outcome(model), "same") << published.name;
      continue;
    }
    ++asked;
    EXPECT_THAT(outcome(model), HasSubstr(other->second)) << published.name;
    // With its family named, every one is read, but for LongRoPE.
    const std::string named = write_model_section(model) + "  family: " + model.family + "\n";
    if (other->first != "Phi-4 mini")
      EXPECT_EQ(model_from_run_config(parse_yaml(named, "run_config.yaml")), model) << published.name;
    else
      EXPECT_THAT(test::complaint_of([&] { model_from_run_config(parse_yaml(named, "run_config.yaml")); }),
                  testing::AllOf(HasSubstr("rope_scaling_type"), HasSubstr("--like")));
  }
  EXPECT_EQ(asked, others.size());
}

/// A class of a family's own decides, also one for a certain size; layers of their own are known by name.
TEST(Foreign, ProvidersNameFamilies) {
  spec::ModelSpec model = model_from_hf(test::published("Llama 3.1 8B"), "a").model;
  const std::string written = write_model_section(model);
  const auto as = [&](const std::string& target, const std::string& more = "") {
    std::string yaml = written;
    const std::string shared = "megatron.bridge.models.gpt_provider.GPTModelProvider";
    yaml.replace(yaml.find(shared), shared.size(), "megatron.bridge.models.x." + target);
    return model_from_run_config(parse_yaml(yaml + more, "run_config.yaml"));
  };
  EXPECT_EQ(as("GPTModelProvider").family, "llama");
  EXPECT_EQ(as("Llama31ModelProvider8B").family, "llama");
  EXPECT_EQ(as("MistralModelProvider").family, "mistral");
  EXPECT_EQ(as("GPTModelProvider", "  family: phi3\n").family, "phi3");
  EXPECT_THAT(test::complaint_of([&] { as("Qwen3ModelProvider"); }),
              testing::AllOf(HasSubstr("'model.qk_layernorm'"), HasSubstr("Qwen 3")));
  EXPECT_THAT(test::complaint_of([&] { as("Gemma2ModelProvider"); }),
              HasSubstr("'model.layernorm_zero_centered_gamma'"));
  EXPECT_THAT(test::complaint_of([&] { as("Qwen3VLModelProvider"); }), HasSubstr("'model._target_'"));
  EXPECT_THAT(test::complaint_of([&] { as("GPTModelProvider", "  family: lama\n"); }), HasSubstr("'model.family'"));
  const std::string own = "  transformer_layer_spec: {_call_: false, _target_: a.b.exaone4_layer_spec}\n";
  EXPECT_THAT(test::complaint_of([&] { as("GPTModelProvider", own); }), HasSubstr("EXAONE"));
}

/// Gemma's providers alternate by themselves, and have their own words.
TEST(Foreign, GemmaAsItsProvidersSayIt) {
  spec::ModelSpec gemma3 = model_from_hf(test::published("Gemma 3 1B"), "a").model;
  gemma3.eos_token_ids.clear();
  gemma3.bos_token_id.reset();
  const auto edited = [](std::string yaml, std::initializer_list<std::pair<const char*, const char*>> edits) {
    for (const auto& [key, line] : edits) {
      const size_t begin = yaml.find(std::string("  ") + key + ":");
      EXPECT_NE(begin, std::string::npos) << key;
      yaml.replace(begin, yaml.find('\n', begin) + 1 - begin, line);
    }
    return model_from_run_config(parse_yaml(yaml, "run_config.yaml"));
  };
  const std::string three = write_model_section(gemma3);
  EXPECT_EQ(edited(three, {{"window_size", "  window_size: 512\n  interleaved_attn_pattern: [5, 1]\n"},
                           {"window_attn_skip_freq", ""},
                           {"seq_len_interpolation_factor", "  rope_scaling_factor: 8.0\n"},
                           {"rotary_base",
                            "  rotary_base: {_args_: [[10000, 1000000]], _call_: true, _target_: builtins.tuple}\n"}}),
            gemma3);
  spec::ModelSpec gemma2 = model_from_hf(test::published("Gemma 2 27B"), "a").model;
  gemma2.eos_token_ids.clear();
  gemma2.bos_token_id.reset();
  EXPECT_EQ(edited(write_model_section(gemma2),
                   {{"softmax_scale", "  query_pre_attn_scalar: 144\n"}, {"window_attn_skip_freq", ""}}),
            gemma2);
}

/// What Megatron has no words for is said in ours, so that a file without `rialto:` does not mean another model.
TEST(Foreign, ScalingsThatMegatronDoesNotCompute) {
  spec::ModelSpec model = model_from_hf(test::published("Llama 3.1 8B"), "a").model;
  model.eos_token_ids.clear();
  model.bos_token_id.reset();
  spec::YarnScaling yarn{.factor = 4, .attention_factor = 1.3};
  for (const spec::RopeScaling& scaling :
       {spec::RopeScaling(spec::Llama3Scaling{8, 2, 3, 16}), spec::RopeScaling(yarn)}) {
    for (spec::Layer& layer : model.layers) std::get<spec::Attention>(layer.mixer).rope->scaling = scaling;
    EXPECT_EQ(outcome(model), "same");
  }
}

/// Files of ours from before those words are what they were.
TEST(Foreign, OlderFilesOfOursAreRead) {
  for (const char* name : {"EXAONE 4.0 1.2B", "MiniMax M2", "Phi-4 mini"}) {
    const spec::ModelSpec model = model_from_hf(test::published(name), "a").model;
    std::string yaml = run_config_from_model(model);
    for (const char* key : {"\n  transformer_layer_spec:", "\n  rope_scaling_type:"})
      if (const size_t at = yaml.find(key); at != std::string::npos) yaml.erase(at, yaml.find('\n', at + 1) - at);
    EXPECT_EQ(model_from_run_config(parse_yaml(yaml, "run_config.yaml")), model) << name;
  }
}

TEST(Foreign, KeysOfTheModelSection) {
  const auto section = [](const char* name) {
    return run_config_from_model(model_from_hf(test::published(name), "a").model);
  };
  EXPECT_THAT(section("GPT-OSS 20B"),
              testing::AllOf(HasSubstr("softmax_type: learnable"), HasSubstr("add_bias_linear: true"),
                             HasSubstr("glu_linear_offset: 1"), HasSubstr("position_embedding_type: yarn"),
                             HasSubstr("yarn_correction_range_round_to_int: false")));
  EXPECT_THAT(section("Gemma 2 27B"),
              testing::AllOf(HasSubstr("attn_logit_softcapping: 50"), HasSubstr("final_logit_softcapping: 30"),
                             HasSubstr("layernorm_zero_centered_gamma: true"),
                             HasSubstr("gemma2_provider.Gemma2ModelProvider")));
  EXPECT_THAT(section("Minitron 4B"),
              testing::AllOf(HasSubstr("normalization: LayerNorm"), HasSubstr("gated_linear_unit: false"),
                             HasSubstr("rotary_percent: 0.5"), HasSubstr("squared_relu")));
  EXPECT_THAT(section("EXAONE 4.0 32B"), testing::AllOf(HasSubstr("no_rope_freq: [0, 0, 0, 1]"),
                                                        HasSubstr("window_attn_skip_freq: [1, 1, 1, 0]")));
  EXPECT_THAT(section("DeepSeek V3"),
              testing::AllOf(HasSubstr("rope_type: yarn"), HasSubstr("mscale_all_dim: 1"),
                             HasSubstr("mtp_num_layers: 1"), HasSubstr("moe_router_num_groups: 8")));
}

}  // namespace
}  // namespace rialto::resolve
