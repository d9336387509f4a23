// For each config.json on standard input (one a line): what resolve makes of it, the canonical config.json and the
// run_config.yaml of that model, and whether both read back as the same model. One JSON object a line.
#include <iostream>

#include "rialto/base/error.h"
#include "rialto/base/json.h"
#include "rialto/resolve/resolve.h"

namespace rialto {
namespace {

Json rope_of(const spec::Rope& rope) {
  Json json = {{"rope_type", "default"}, {"rope_theta", rope.base}, {"dim", rope.dim}};
  if (const auto* linear = std::get_if<spec::LinearScaling>(&rope.scaling)) {
    json["rope_type"] = "linear";
    json["factor"] = linear->factor;
  }
  if (const auto* llama3 = std::get_if<spec::Llama3Scaling>(&rope.scaling)) {
    json["rope_type"] = "llama3";
    json["factor"] = llama3->factor;
    json["low_freq_factor"] = llama3->low_freq_factor;
    json["high_freq_factor"] = llama3->high_freq_factor;
    json["original_max_position_embeddings"] = llama3->original_max_positions;
  }
  return json;
}

Json ffn_of(const spec::Ffn& ffn) {
  if (const auto* dense = std::get_if<spec::DenseFfn>(&ffn)) return {{"dense", dense->hidden}};
  const auto& moe = std::get<spec::MoeFfn>(ffn);
  return {{"experts", moe.num_experts},
          {"width", moe.expert_hidden},
          {"shared", moe.shared_hidden},
          {"top_k", moe.router.top_k},
          {"groups", moe.router.num_groups},
          {"top_groups", moe.router.top_groups},
          {"renormalize", moe.router.renormalize || moe.router.softmax_after_top_k},
          {"scale", moe.router.scale}};
}

Json mixer_of(const spec::Mixer& mixer) {
  if (const auto* latent = std::get_if<spec::LatentAttention>(&mixer))
    return {{"heads", latent->num_heads},
            {"q_lora", latent->q_lora_rank ? Json(*latent->q_lora_rank) : Json()},
            {"kv_lora", latent->kv_lora_rank},
            {"nope", latent->qk_nope_dim},
            {"rope", latent->qk_rope_dim},
            {"v", latent->v_head_dim},
            {"softmax_scale", latent->softmax_scale}};
  const auto& attention = std::get<spec::Attention>(mixer);
  return {{"heads", attention.num_heads},
          {"groups", attention.num_groups},
          {"head_dim", attention.head_dim},
          {"qkv_bias", attention.qkv_bias},
          {"out_bias", attention.out_bias},
          {"qk_norm", attention.qk_norm.has_value()},
          {"window", attention.window ? Json(*attention.window) : Json()},
          {"softmax_scale", attention.softmax_scale},
          {"cap", attention.softcap ? Json(*attention.softcap) : Json()},
          {"theta", attention.rope ? Json(attention.rope->base) : Json()},
          {"rotated", attention.rope ? attention.rope->dim : 0}};
}

/// What the families beyond the first four say of each layer.
Json describe_layers(const spec::ModelSpec& model) {
  Json layers = Json::array();
  for (const spec::Layer& layer : model.layers)
    layers.push_back({{"mixer", mixer_of(layer.mixer)}, {"ffn", ffn_of(layer.ffn)}});
  return {{"family", model.family},
          {"hidden_size", model.hidden},
          {"vocab_size", model.vocab},
          {"max_position_embeddings", model.max_positions},
          {"tie_word_embeddings", model.tied},
          {"eps", model.final_norm.eps},
          {"initializer_range", model.init_std},
          {"cap", model.logit_softcap ? Json(*model.logit_softcap) : Json()},
          {"embedding_scale", model.embedding_scale},
          {"mtp", model.mtp.size()},
          {"layers", layers}};
}

Json describe(const spec::ModelSpec& model) {
  const auto& attention = std::get<spec::Attention>(model.layers.front().mixer);
  Json json = {{"family", model.family},
               {"hidden_size", model.hidden},
               {"vocab_size", model.vocab},
               {"max_position_embeddings", model.max_positions},
               {"tie_word_embeddings", model.tied},
               {"num_hidden_layers", model.layers.size()},
               {"num_attention_heads", attention.num_heads},
               {"num_key_value_heads", attention.num_groups},
               {"head_dim", attention.head_dim},
               {"intermediate_size", std::get<spec::DenseFfn>(model.layers.front().ffn).hidden},
               {"rms_norm_eps", model.final_norm.eps},
               {"initializer_range", model.init_std},
               {"dtype", std::string(torch_name(model.dtype))},
               {"eos", model.eos_token_ids},
               {"qkv_bias", attention.qkv_bias},
               {"qk_norm", attention.qk_norm.has_value()},
               {"rope", rope_of(*attention.rope)}};
  json["bos"] = model.bos_token_id ? Json(*model.bos_token_id) : Json();
  json["windows"] = Json::array();
  for (const spec::Layer& layer : model.layers) {
    const auto& window = std::get<spec::Attention>(layer.mixer).window;
    json["windows"].push_back(window ? Json(*window) : Json());
  }
  return json;
}

Json answer(const std::string& line) {
  try {
    const spec::ModelSpec model = resolve::model_from_hf(parse_json(line, "line"), "config.json").model;
    const Json hf = resolve::hf_from_model(model);
    const std::string run_config = resolve::run_config_from_model(model);
    const bool again = resolve::model_from_hf(hf, "again").model == model &&
                       resolve::model_from_run_config(parse_yaml(run_config, "run_config.yaml")) == model;
    const bool first_four =
        model.family == "llama" || model.family == "mistral" || model.family == "qwen2" || model.family == "qwen3";
    return {{"model", first_four ? describe(model) : describe_layers(model)},
            {"hf", hf},
            {"run_config", run_config},
            {"again", again}};
  } catch (const Error& error) {
    return {{"error", error.what()}};
  }
}

}  // namespace
}  // namespace rialto

int main() {
  std::string line;
  while (std::getline(std::cin, line)) std::cout << rialto::answer(line).dump() << std::endl;
}
