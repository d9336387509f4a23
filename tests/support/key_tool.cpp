// Prints what a native checkpoint of a model would hold, {key: global shape, or null for an object}, as JSON: the model
// is described by key_tables.Model's fields in a JSON object on the command line. For models that no family converts
// yet.
#include <cstdio>

#include "rialto/base/error.h"
#include "rialto/base/json.h"
#include "rialto/spec/param.h"
#include "rialto/store/checkpoint.h"

namespace rialto {
namespace {

spec::Norm make_norm(const Json& m) {
  if (!m.at("layer_norm")) return {};
  return {.kind = spec::NormKind::kLayer, .bias = true};
}

spec::Mixer make_mixer(const Json& m) {
  if (m.at("kind") == "mla") {
    const auto q_lora = m.at("q_lora").get<int64_t>();
    return spec::LatentAttention{.num_heads = m.at("heads"),
                                 .q_lora_rank = q_lora > 0 ? std::optional(q_lora) : std::nullopt,
                                 .kv_lora_rank = m.at("kv_lora"),
                                 .qk_nope_dim = m.at("nope"),
                                 .qk_rope_dim = m.at("rope"),
                                 .v_head_dim = m.at("v_dim"),
                                 .softmax_scale = 1,
                                 .rope = spec::Rope{.dim = m.at("rope")}};
  }
  spec::Attention attention{.num_heads = m.at("heads"), .num_groups = m.at("groups"), .head_dim = m.at("head_dim")};
  attention.qkv_bias = m.at("qkv_bias") || m.at("biases");
  attention.out_bias = m.at("biases");
  attention.sinks = m.at("sinks");
  if (m.at("qk_norm")) attention.qk_norm = make_norm(m);
  attention.softmax_scale = 1;
  return attention;
}

spec::Ffn make_ffn(const Json& m, int64_t layer) {
  const bool dense = m.at("kind") == "dense" || (m.at("kind") == "mla" && layer < m.at("dense_layers").get<int64_t>());
  if (dense) return spec::DenseFfn{.hidden = m.at("ffn")};
  return spec::MoeFfn{.num_experts = m.at("experts"),
                      .expert_hidden = m.at("expert_ffn"),
                      .shared_hidden = m.at("shared_ffn"),
                      .shared_gate = m.at("shared_gate"),
                      .expert_bias = m.at("biases"),
                      .router = {.selection_bias = m.at("expert_bias"), .linear_bias = m.at("biases"), .top_k = 2}};
}

spec::Layer make_layer(const Json& m, int64_t index) {
  const spec::Norm norm = make_norm(m);
  spec::Layer layer{.mixer_norm = norm, .mixer = make_mixer(m), .ffn_norm = norm, .ffn = make_ffn(m, index)};
  if (m.at("post_norms")) layer.mixer_post_norm = layer.ffn_post_norm = norm;
  return layer;
}

spec::ModelSpec make_model(const Json& m) {
  spec::ModelSpec model;
  model.hidden = m.at("hidden");
  model.vocab = m.at("vocab");
  model.tied = m.at("tied");
  model.per_layer_keys = m.at("kind") == "mla";
  model.final_norm = make_norm(m);
  const auto layers = m.at("layers").get<int64_t>();
  for (int64_t layer = 0; layer < layers; ++layer) model.layers.push_back(make_layer(m, layer));
  for (int64_t depth = 0; depth < m.at("mtp").get<int64_t>(); ++depth)
    model.mtp.push_back({make_norm(m), make_norm(m), make_norm(m), make_layer(m, layers - 1)});
  return model;
}

Json keys_of(const spec::ModelSpec& model) {
  Json keys = Json::object();
  const auto add = [&](const store::ChunkSpec& chunk) {
    keys[chunk.key] = chunk.shape;
    for (const std::string& alias : chunk.aliases) keys[alias] = chunk.shape;
  };
  for (const spec::Param& param : spec::param_table(model)) {
    add(store::chunk_of(param, model.dtype));
    if (param.buffer) continue;
    for (const char* state : {"exp_avg", "exp_avg_sq", "param", "fp32_param"}) {
      add(store::chunk_of(param, DType::kF32, std::string("optimizer.state.") + state + "."));
    }
  }
  for (const spec::ExtraState& state : spec::extra_state_table(model)) keys[state.full_key()] = nullptr;
  return keys;
}

}  // namespace
}  // namespace rialto

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw rialto::Error(rialto::ErrorKind::kUsage, "key_tool", "want one argument: the model as JSON");
    const rialto::Json model = rialto::parse_json(argv[1], "model");
    std::puts(rialto::keys_of(rialto::make_model(model)).dump().c_str());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
