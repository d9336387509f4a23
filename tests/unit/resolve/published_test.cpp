// Every published config.json: what it resolves to, that it is written again as the same model in both formats, and
// that the family's tensor rows cover that model.
#include "tests/unit/resolve/published.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "rialto/bridge/plan.h"
#include "rialto/resolve/resolve.h"
#include "tests/unit/resolve/complaint.h"

namespace rialto::resolve {
namespace {

using spec::Attention;
using spec::LatentAttention;
using spec::MoeFfn;
using testing::AllOf;
using testing::HasSubstr;

spec::ModelSpec model_of(const Json& json) { return model_from_hf(json, "config.json").model; }
spec::ModelSpec model_of(const char* name) { return model_of(test::published(name)); }
const Attention& attention_of(const spec::ModelSpec& model, size_t layer = 0) {
  return std::get<Attention>(model.layers.at(layer).mixer);
}
const LatentAttention& latent_of(const spec::ModelSpec& model) {
  return std::get<LatentAttention>(model.layers.at(0).mixer);
}
const MoeFfn& moe_of(const spec::ModelSpec& model) { return std::get<MoeFfn>(model.layers.back().ffn); }
bool is_moe(const spec::Layer& layer) { return std::holds_alternative<MoeFfn>(layer.ffn); }

/// The same with fewer layers, so that maps stay small.
Json shortened(const test::Published& published) {
  Json json = test::published(published.name);
  if (!json.contains("layer_types") || json["layer_types"].is_null())
    json["num_hidden_layers"] = std::min<int64_t>(json["num_hidden_layers"].get<int64_t>(), 4);
  if (json.contains("moe_layer_end_index")) json["moe_layer_end_index"] = 3;
  return json;
}

std::string complaint(const Json& json) {
  return test::complaint_of([&] { model_of(json); });
}

TEST(Published, EveryFamilyHasOne) {
  std::set<std::string_view> families;
  for (const test::Published& each : test::kPublished) {
    families.insert(each.family);
    EXPECT_EQ(model_from_hf(test::published(each.name), each.name).family->name, each.family) << each.name;
  }
  for (const families::Family* family : families::registry())
    EXPECT_TRUE(families.contains(family->name)) << family->name;
}

TEST(Published, ConfigsAreWrittenAgainAsTheSameModel) {
  for (const test::Published& each : test::kPublished) {
    const spec::ModelSpec model = model_of(each.name);
    EXPECT_EQ(model_of(hf_from_model(model)), model) << each.name;
    const std::string yaml = run_config_from_model(model);
    EXPECT_EQ(model_from_run_config(parse_yaml(yaml, "run_config.yaml")), model) << each.name;
  }
}

TEST(Published, TensorRowsCoverTheModel) {
  for (const test::Published& each : test::kPublished) {
    const Resolved resolved = model_from_hf(shortened(each), each.name);
    const bridge::Map map = bridge::make_map(resolved.model, resolved.family->params);
    EXPECT_NO_THROW(bridge::prove_complete(map)) << each.name;
  }
}

TEST(Published, UnknownKeysAndValuesAreRefusedByName) {
  for (const test::Published& each : test::kPublished) {
    Json json = test::published(each.name);
    json["new_option"] = 1;
    EXPECT_THAT(complaint(json), HasSubstr("key 'new_option' is not known")) << each.name;
    json.erase("new_option");
    json["attention_dropout"] = 0.1;
    EXPECT_THAT(complaint(json), HasSubstr("'attention_dropout'")) << each.name;
    json["attention_dropout"] = 0.0;
    for (const char* key : {"hidden_act", "hidden_activation"})
      if (json.contains(key)) json[key] = "gelu_new";
    if (json["model_type"] != "gemma2") {
      EXPECT_THAT(complaint(json), HasSubstr("gelu_new")) << each.name;
    }
  }
}

/// An option that no model has, for a key of this kind; null where the kind takes numbers only.
Json unknown_option(bridge::ConfigKind kind) {
  using bridge::ConfigKind;
  switch (kind) {
    case ConfigKind::kActivation:
    case ConfigKind::kTopKMethod:
    case ConfigKind::kMustEqual:
      return "no_such_option";
    case ConfigKind::kRopeScaling:
      return {{"rope_type", "no_such_option"}, {"factor", 2.0}};
    case ConfigKind::kLayerTypes:
    case ConfigKind::kMlpTypes:
      return "no_such_option";  // once a layer
    default:
      return nullptr;
  }
}

TEST(Published, UnknownOptionsAreRefusedByKeyAndValueInEveryFamily) {
  std::set<std::string_view> families;
  for (const test::Published& each : test::kPublished) {
    const families::Family& family = *families::find_by_name(each.family);
    families.insert(each.family);
    std::vector<bridge::ConfigRow> rows(family.config.begin(), family.config.end());
    for (const bridge::ConfigRow& row : families::common_config())
      if (std::none_of(rows.begin(), rows.end(), [&](const auto& own) { return own.key == row.key; }))
        rows.push_back(row);
    size_t asked = 0;
    for (const bridge::ConfigRow& row : rows) {
      const Json option = unknown_option(row.kind);
      if (option.is_null()) continue;
      Json json = test::published(each.name);
      for (const bridge::ConfigRow& other : rows)  // other spellings of the same
        if (other.kind == row.kind && row.kind != bridge::ConfigKind::kMustEqual) json.erase(std::string(other.key));
      const bool list = row.kind == bridge::ConfigKind::kLayerTypes || row.kind == bridge::ConfigKind::kMlpTypes;
      json[std::string(row.key)] =
          list ? Json(std::vector<Json>(json["num_hidden_layers"].get<size_t>(), option)) : option;
      EXPECT_THAT(complaint(json), AllOf(HasSubstr("'" + std::string(row.key) + "'"), HasSubstr("no_such_option")))
          << each.name << " " << row.key;
      ++asked;
    }
    EXPECT_GE(asked, 10u) << each.name;
  }
  EXPECT_EQ(families.size(), families::registry().size());
}

TEST(Published, DeepseekV3) {
  const spec::ModelSpec model = model_of("DeepSeek V3");
  const LatentAttention& latent = latent_of(model);
  EXPECT_EQ(latent.q_lora_rank, 1536);
  EXPECT_EQ(latent.latent_norm.eps, 1e-6);
  const double mscale = 0.1 * std::log(40.0) + 1;
  EXPECT_DOUBLE_EQ(latent.softmax_scale, mscale * mscale / std::sqrt(192.0));
  EXPECT_EQ(latent.rope->pairing, spec::RopePairing::kAdjacent);
  EXPECT_EQ(latent.rope->dim, 64);
  EXPECT_EQ(std::get<spec::YarnScaling>(latent.rope->scaling),
            (spec::YarnScaling{.factor = 40, .original_max_positions = 4096, .mscale = 1.0, .mscale_all_dim = 1.0}));
  EXPECT_FALSE(is_moe(model.layers[2]));
  EXPECT_TRUE(is_moe(model.layers[3]));
  EXPECT_TRUE(model.per_layer_keys);
  const MoeFfn& moe = moe_of(model);
  EXPECT_EQ(moe.shared_hidden, 2048);
  EXPECT_EQ(moe.router, (spec::Router{.score = spec::RouterScore::kSigmoid,
                                      .selection_bias = true,
                                      .top_k = 8,
                                      .num_groups = 8,
                                      .top_groups = 4,
                                      .renormalize = true,
                                      .renormalize_eps = 1e-20,
                                      .scale = 2.5}));
  ASSERT_EQ(model.mtp.size(), 1u);
  EXPECT_EQ(model.mtp[0].layer, model.layers.back());
}

TEST(Published, RelativesOfDeepseek) {
  const spec::ModelSpec lite = model_of("DeepSeek V2 Lite"), v2 = model_of("DeepSeek V2");
  EXPECT_EQ(latent_of(lite).q_lora_rank, std::nullopt);
  EXPECT_EQ(moe_of(lite).router.num_groups, 1);
  EXPECT_EQ(moe_of(lite).shared_hidden, 2816);
  EXPECT_EQ(moe_of(v2).router.num_groups, 8);
  EXPECT_EQ(moe_of(v2).router.group_score, spec::GroupScore::kMax);
  EXPECT_EQ(moe_of(v2).router.scale, 16);
  EXPECT_FALSE(moe_of(v2).router.renormalize);
  const spec::ModelSpec moonlight = model_of("Moonlight 16B-A3B");
  EXPECT_DOUBLE_EQ(latent_of(moonlight).softmax_scale, 1 / std::sqrt(192.0));
  EXPECT_EQ(latent_of(moonlight).latent_norm.eps, 1e-6);  // not the config's 1e-5
  EXPECT_TRUE(moonlight.mtp.empty());
  const spec::ModelSpec sarvam = model_of("Sarvam 105B");
  EXPECT_EQ(std::get<spec::YarnScaling>(latent_of(sarvam).rope->scaling).factor, 40);
  Json half = test::published("GLM-4.7 Flash");
  half["rope_interleave"] = false;
  EXPECT_EQ(latent_of(model_of(half)).rope->pairing, spec::RopePairing::kHalf);
}

TEST(Published, Gemma) {
  const spec::ModelSpec one = model_of("Gemma 2B");
  EXPECT_TRUE(one.tied);
  EXPECT_DOUBLE_EQ(one.embedding_scale, std::sqrt(2048.0));
  EXPECT_TRUE(one.final_norm.zero_centered);
  EXPECT_EQ(std::get<spec::DenseFfn>(one.layers[0].ffn).activation, spec::Activation::kGeluTanh);
  EXPECT_FALSE(one.layers[0].ffn_post_norm);
  const spec::ModelSpec two = model_of("Gemma 2 27B");
  EXPECT_DOUBLE_EQ(attention_of(two).softmax_scale, 1.0 / 12);
  EXPECT_EQ(attention_of(two).softcap, 50.0);
  EXPECT_EQ(two.logit_softcap, 30.0);
  EXPECT_EQ(attention_of(two, 0).window, 4096);
  EXPECT_EQ(attention_of(two, 1).window, std::nullopt);
  EXPECT_TRUE(two.layers[0].mixer_post_norm && two.layers[0].mixer_norm);
}

TEST(Published, Gemma3HasTwoRopes) {
  const spec::ModelSpec model = model_of("Gemma 3 1B");
  EXPECT_EQ(attention_of(model, 4).window, 512);
  EXPECT_EQ(attention_of(model, 5).window, std::nullopt);
  EXPECT_EQ(attention_of(model, 4).rope->base, 10000);
  EXPECT_EQ(attention_of(model, 5).rope->base, 1e6);
  EXPECT_EQ(attention_of(model, 4).rope->scaling, spec::RopeScaling());
  EXPECT_EQ(std::get<spec::LinearScaling>(attention_of(model, 5).rope->scaling).factor, 8);
  EXPECT_TRUE(attention_of(model).qk_norm->zero_centered);
  Json nested = test::published("Gemma 3 1B");
  for (const char* key : {"rope_scaling", "rope_theta", "rope_local_base_freq"}) nested.erase(key);
  nested["rope_parameters"] = {{"full_attention", {{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", 1e6}}},
                               {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 10000.0}}}};
  EXPECT_EQ(model_of(nested), model);
  nested["rope_parameters"]["linear_attention"] = {{"rope_type", "default"}};
  EXPECT_THAT(complaint(nested), HasSubstr("linear_attention"));
}

TEST(Published, GptOss) {
  const spec::ModelSpec model = model_of("GPT-OSS 20B");
  const Attention& attention = attention_of(model);
  EXPECT_TRUE(attention.qkv_bias && attention.out_bias && attention.sinks);
  EXPECT_EQ(attention.window, 128);
  EXPECT_FALSE(std::get<spec::YarnScaling>(attention.rope->scaling).truncate);
  const MoeFfn& moe = moe_of(model);
  EXPECT_EQ(moe.activation, spec::Activation::kGptOss);
  EXPECT_EQ(moe.clamp, 7.0);
  EXPECT_TRUE(moe.expert_bias && moe.router.linear_bias && moe.router.softmax_after_top_k);
  Json silent = test::published("GPT-OSS 20B");
  silent.erase("rope_scaling");  // transformers' default is the same YaRN
  silent.erase("layer_types");
  EXPECT_EQ(model_of(silent), model);
  silent["rope_scaling"] = {{"rope_type", "default"}};
  const spec::ModelSpec plain = model_of(silent);
  EXPECT_EQ(attention_of(plain).rope->scaling, spec::RopeScaling());
  EXPECT_EQ(model_of(hf_from_model(plain)), plain);
}

TEST(Published, PartsOfHeads) {
  EXPECT_EQ(attention_of(model_of("GLM-4.5")).rope->dim, 64);
  EXPECT_TRUE(attention_of(model_of("GLM-4.5")).qk_norm && attention_of(model_of("GLM-4.5")).qkv_bias);
  EXPECT_FALSE(attention_of(model_of("GLM-4.5")).out_bias);
  EXPECT_EQ(attention_of(model_of("MiniMax M2")).rope->dim, 64);
  EXPECT_EQ(attention_of(model_of("MiniMax M2")).qk_norm_width, spec::QkNormWidth::kFull);
  EXPECT_EQ(attention_of(model_of("Ling mini 2.0")).rope->dim, 64);
  EXPECT_EQ(attention_of(model_of("Sarvam 30B")).rope->dim, 64);
  EXPECT_EQ(attention_of(model_of("Minitron 4B")).rope->dim, 64);
  Json json = test::published("MiniMax M2");
  json["rotary_dim"] = 63;
  EXPECT_THAT(complaint(json), HasSubstr("even"));
  json["rotary_dim"] = 130;
  EXPECT_THAT(complaint(json), HasSubstr("130 of 128"));
}

TEST(Published, Phi) {
  const spec::ModelSpec model = model_of("Phi-4 mini");
  EXPECT_EQ(attention_of(model).rope->dim, 12);
  const auto& scaling = std::get<spec::LongRopeScaling>(attention_of(model).rope->scaling);
  EXPECT_EQ(scaling.long_factors.back(), 16);
  EXPECT_EQ(scaling.original_max_positions, 4096);
  EXPECT_DOUBLE_EQ(scaling.attention_factor, std::sqrt(1 + std::log(32.0) / std::log(4096.0)));
  Json json = test::published("Phi-4 mini");
  for (const char* type : {"su", "yarn"}) {
    json["rope_scaling"]["type"] = type;
    EXPECT_EQ(model_of(json), model) << type;
  }
  json["rope_scaling"]["short_factor"] = {1, 2};
  EXPECT_THAT(complaint(json), HasSubstr("'short_factor'"));
}

TEST(Published, Exaone) {
  const spec::ModelSpec small = model_of("EXAONE 4.0 1.2B"), mixed = model_of("EXAONE 4.0 32B");
  EXPECT_TRUE(attention_of(small).rope);
  EXPECT_FALSE(small.layers[0].mixer_norm);
  EXPECT_TRUE(small.layers[0].mixer_post_norm);
  EXPECT_TRUE(attention_of(mixed, 2).rope && attention_of(mixed, 2).window == 4096);
  EXPECT_FALSE(attention_of(mixed, 3).rope || attention_of(mixed, 3).window);
  const spec::ModelSpec moe = model_of("K-EXAONE 236B");
  EXPECT_FALSE(is_moe(moe.layers[0]));
  EXPECT_TRUE(is_moe(moe.layers[1]));
  EXPECT_FALSE(is_moe(moe.mtp.at(0).layer));
  Json json = test::published("EXAONE 4.0 32B");
  json.erase("layer_types");
  EXPECT_THAT(complaint(json), HasSubstr("'sliding_window_pattern' is a pattern of letters"));
  json["sliding_window_pattern"] = 4;
  EXPECT_EQ(model_of(json), mixed);
  // With a window in the config and no layer that has one, no layer knows positions.
  json["layer_types"] = {"full_attention", "full_attention", "full_attention", "full_attention"};
  const spec::ModelSpec none = model_of(json);
  EXPECT_FALSE(attention_of(none).rope);
  EXPECT_EQ(model_of(hf_from_model(none)), none);
}

TEST(Published, WhichLayersHaveExperts) {
  Json json = test::published("Qwen 3 30B-A3B");
  json["num_hidden_layers"] = 6;
  json["decoder_sparse_step"] = 2;
  json["mlp_only_layers"] = {3};
  const spec::ModelSpec qwen = model_of(json);
  for (size_t layer = 0; layer < 6; ++layer) EXPECT_EQ(is_moe(qwen.layers[layer]), layer == 1 || layer == 5) << layer;
  EXPECT_EQ(model_of(hf_from_model(qwen)), qwen);
  EXPECT_EQ(model_from_run_config(parse_yaml(run_config_from_model(qwen), "x")), qwen);
  json["mlp_only_layers"] = {9};
  EXPECT_THAT(complaint(json), HasSubstr("'mlp_only_layers'"));
  const spec::ModelSpec ernie = model_of("ERNIE 4.5 21B-A3B");
  EXPECT_FALSE(is_moe(ernie.layers[0]));
  EXPECT_TRUE(is_moe(ernie.layers[27]));
  EXPECT_EQ(attention_of(ernie).rope->pairing, spec::RopePairing::kAdjacent);
  EXPECT_EQ(moe_of(ernie).shared_hidden, 3072);
  json = test::published("HY3 preview");
  json["num_hidden_layers"] = 3;
  json["mlp_layer_types"] = {"sparse", "dense", "sparse"};
  EXPECT_FALSE(is_moe(model_of(json).layers[1]));
  EXPECT_EQ(model_of(hf_from_model(model_of(json))), model_of(json));
}

TEST(Published, ExaoneListsPerLayerAreAcceptedWhereTheySayTheSame) {
  const Json plain = test::published("K-EXAONE 236B");
  Json said = plain;
  said["sliding_windows"] = {128, 128, 128, 0};
  said["swiglu_limits"] = {0, 0.0, 0.0, 0.0};
  said["mtp_share_layers"] = true;
  said["mtp_layer_types"] = {"full_attention"};
  said["mtp_sliding_windows"] = Json::array({0});
  said["mtp_num_speculative_steps"] = 1;
  EXPECT_EQ(model_of(said), model_of(plain));
  const struct {
    const char* key;
    Json value;
    std::string got;
  } cases[] = {{"sliding_windows", {128, 64, 128, 0}, "disagrees about layer 1; got 64"},
               {"sliding_windows", {128, 128, 128, 4096}, "disagrees about layer 3; got 4096"},
               {"sliding_windows", {128, 128}, "a list of 4 layers"},
               {"swiglu_limits", {0.0, 0.0, 7.0, 0.0}, "clamps layer 2, which is not computed here; got 7.0"},
               {"num_nextn_predict_layers", 2, "got 2"},
               {"mtp_num_speculative_steps", 3, "got 3"},
               {"mtp_layer_types", {"sliding_attention"}, "sliding_attention"},
               {"mtp_sliding_windows", Json::array({128}), "[128]"}};
  for (const auto& test_case : cases) {
    Json json = plain;
    json[test_case.key] = test_case.value;
    EXPECT_THAT(complaint(json), AllOf(HasSubstr(fmt::format("'{}'", test_case.key)), HasSubstr(test_case.got)));
  }
}

TEST(Published, RoutersThatDoNotFitAreRefused) {
  Json alone = test::published("DeepSeek V3");  // a group of one has no best two
  alone["n_group"] = 256;
  alone["topk_group"] = 8;
  EXPECT_THAT(complaint(alone), HasSubstr("'n_group'"));
  const struct {
    const char *name, *key;
    Json value;
    const char* says;
  } cases[] = {{"DeepSeek V3", "num_experts_per_tok", 257, "'num_experts_per_tok'"},
               {"DeepSeek V3", "n_group", 7, "'n_group'"},
               {"DeepSeek V3", "n_routed_experts", 65536, "'n_routed_experts'"},
               {"DeepSeek V3", "topk_group", 9, "'topk_group'"},
               {"DeepSeek V3", "scoring_func", "softmax", "'scoring_func'"},
               {"DeepSeek V3", "topk_method", "greedy", "'topk_method'"},
               {"DeepSeek V3", "num_key_value_heads", 64, "'num_key_value_heads'"},
               {"DeepSeek V3", "moe_layer_freq", 2, "'moe_layer_freq'"},
               {"DeepSeek V3", "num_nextn_predict_layers", 99, "'num_nextn_predict_layers'"},
               {"DeepSeek V2", "topk_method", "noaux_tc", "'topk_method'"},
               {"DeepSeek V2", "norm_topk_prob", true, "'norm_topk_prob'"},
               {"Ling mini 2.0", "moe_shared_expert_intermediate_size", 1024, "'moe_shared_expert_intermediate_size'"},
               {"OLMoE 1B-7B", "clip_qkv", 8.0, "'clip_qkv'"},
               {"GPT-OSS 20B", "swiglu_alpha", 1.5, "'swiglu_alpha'"},
               {"K-EXAONE 236B", "swiglu_limits", Json{7.0}, "'swiglu_limits'"},
               {"ERNIE 4.5 21B-A3B", "use_bias", true, "'use_bias'"},
               {"Gemma 3 1B", "use_bidirectional_attention", true, "'use_bidirectional_attention'"}};
  for (const auto& test_case : cases) {
    Json json = test::published(test_case.name);
    json[test_case.key] = test_case.value;
    EXPECT_THAT(complaint(json), HasSubstr(test_case.says)) << test_case.name << " " << test_case.key;
  }
}

}  // namespace
}  // namespace rialto::resolve
