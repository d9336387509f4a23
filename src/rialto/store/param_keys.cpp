// Spellings of one parameter's key.
#include "rialto/store/param_keys.h"

#include <string_view>

#include <fmt/format.h>

namespace rialto::store {
namespace {

constexpr std::string_view kLayers = "decoder.layers.";

/// TransformerEngine fuses a norm into the linear behind it; Megatron's local layer spec keeps it apart.
constexpr std::pair<std::string_view, std::string_view> kLocalSpelling[] = {
    {"self_attention.linear_qkv.layer_norm_", "input_layernorm."},
    {"mlp.linear_fc1.layer_norm_", "pre_mlp_layernorm."},
    {"self_attention.linear_q_up_proj.layer_norm_", "self_attention.q_layernorm."},
    {"self_attention.linear_kv_up_proj.layer_norm_", "self_attention.kv_layernorm."},
};

/// What Megatron-Core calls the layer inside a block of multi-token prediction, now and in its newer versions.
constexpr std::string_view kInnerLayer = ".transformer_layer.", kNewInnerLayer = ".mtp_model_layer.";

void add_unique(std::vector<KeyCandidate>& list, KeyCandidate candidate) {
  for (const KeyCandidate& known : list)
    if (known.key == candidate.key) return;
  list.push_back(std::move(candidate));
}

}  // namespace

std::vector<KeyCandidate> key_candidates(const spec::Param& param, const std::string& prefix) {
  std::vector<std::string> spellings{param.disk.key};
  spellings.insert(spellings.end(), param.disk.aliases.begin(), param.disk.aliases.end());
  for (const auto& [fused, apart] : kLocalSpelling) {
    const size_t at = param.disk.key.find(fused);
    if (at == std::string::npos) continue;
    spellings.push_back(std::string(param.disk.key).replace(at, fused.size(), apart));
  }
  if (param.stack == spec::Stack::kMtp) {
    for (size_t own = spellings.size(), i = 0; i < own; ++i)
      if (const size_t at = spellings[i].find(kInnerLayer); at != std::string::npos)
        spellings.push_back(std::string(spellings[i]).replace(at, kInnerLayer.size(), kNewInnerLayer));
  }
  std::vector<KeyCandidate> candidates;
  for (const std::string& key : spellings) add_unique(candidates, {prefix + key, param.disk.axes});
  for (const std::string& key : spellings) {
    if (param.layer < 0 || !key.starts_with(kLayers)) continue;
    const std::string numbered = fmt::format("{}{}.", kLayers, param.layer);
    std::vector<spec::DiskAxis> axes = param.disk.axes;
    if (key.starts_with(numbered)) {
      axes.insert(axes.begin(), {param.layer, -1});
      add_unique(candidates, {prefix + std::string(kLayers) + key.substr(numbered.size()), std::move(axes)});
    } else {
      axes.erase(axes.begin());
      add_unique(candidates, {prefix + numbered + key.substr(kLayers.size()), std::move(axes)});
    }
  }
  return candidates;
}

}  // namespace rialto::store
