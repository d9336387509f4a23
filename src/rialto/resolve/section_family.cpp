// Families by name, and by what fits.
#include "rialto/resolve/section_family.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/base/error.h"
#include "rialto/resolve/model_parts.h"
#include "rialto/resolve/resolve.h"
#include "rialto/resolve/section_model.h"

namespace rialto::resolve {
namespace {

constexpr std::string_view kHint =
    "give a Hugging Face folder of the model with --like, or name the family in the section ('family: NAME')";
/// Providers that many families share.
constexpr std::string_view kShared[] = {"GPTModelProvider", "MLAModelProvider"};

std::string_view last_part(std::string_view name) { return name.substr(name.rfind('.') + 1); }

bool is_shared(std::string_view provider) {
  return std::find(std::begin(kShared), std::end(kShared), provider) != std::end(kShared);
}

/// A class and those for one size of the model.
bool is_class(std::string_view name, std::string_view of) {
  return name.starts_with(of) &&
         (name.size() == of.size() || std::isdigit(static_cast<unsigned char>(name[of.size()])));
}

bool is_provider_of(std::string_view name, const families::Family& family) {
  const std::string_view written = last_part(family.provider);
  if (!is_shared(written) && is_class(name, written)) return true;
  return std::any_of(family.provider_classes.begin(), family.provider_classes.end(),
                     [&](std::string_view known) { return is_class(name, known); });
}

std::vector<std::string_view> known_providers() {
  std::vector<std::string_view> known(std::begin(kShared), std::end(kShared));
  for (const families::Family* family : families::registry()) {
    if (!is_shared(last_part(family->provider))) known.push_back(last_part(family->provider));
    known.insert(known.end(), family->provider_classes.begin(), family->provider_classes.end());
  }
  return known;
}

/// What the values tell by themselves. Dense: qk_layernorm Qwen3, add_qkv_bias Qwen2, a window Mistral, none of them
/// Llama.
std::string_view told_family(const YamlSection& keys, bool latent) {
  if (latent) {
    const Node* score = keys.find("moe_router_score_function");
    return score && says(*score, "sigmoid") ? "deepseek_v3" : "deepseek_v2";
  }
  const bool qk_norm = keys.flag_or("qk_layernorm", false);
  if (keys.find("num_moe_experts")) return qk_norm ? "qwen3_moe" : "mixtral";
  if (qk_norm) return "qwen3";
  if (keys.flag_or("add_qkv_bias", false)) return "qwen2";
  return keys.find("window_size") ? "mistral" : "llama";
}

/// A family with layers of its own is known by their name.
const families::Family* family_of_layers(const YamlSection& keys) {
  if (!keys.find("transformer_layer_spec")) return nullptr;
  const std::string name = keys.target("transformer_layer_spec");
  for (const families::Family* family : families::registry())
    if (!family->layer_spec.empty() && last_part(family->layer_spec) == name) return family;
  return nullptr;
}

struct Fit {
  const families::Family* family;
  spec::ModelSpec model;
};

/// The families with a shared provider and Megatron's own layers that read every key, and that can say the result in a
/// config.json.
std::vector<Fit> fitting(const YamlSection& keys, bool latent) {
  std::vector<Fit> fits;
  for (const families::Family* family : families::registry()) {
    if (!is_shared(last_part(family->provider)) || family->traits.latent != latent || !family->layer_spec.empty())
      continue;
    try {
      spec::ModelSpec model = read_section_model({keys, *family}, {});
      hf_from_model(model);
      fits.push_back({family, std::move(model)});
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kInternal) throw;
    }
  }
  return fits;
}

/// Files of both have the same names.
bool same_files(const families::Family& a, const families::Family& b) { return a.params.data() == b.params.data(); }

spec::ModelSpec best_fit(const YamlSection& keys, const Node& target) {
  const bool latent = keys.flag_or("multi_latent_attention", false);
  const families::Family& told = family_named(std::string(told_family(keys, latent)));
  std::vector<Fit> fits = fitting(keys, latent);
  const auto by_values = std::find_if(fits.begin(), fits.end(), [&](const Fit& fit) { return fit.family == &told; });
  if (by_values != fits.end()) return std::move(by_values->model);
  // What the values tell, although no config.json can say it; or the reason why it is not even that.
  if (fits.empty()) return read_section_model({keys, told}, {});
  if (std::all_of(fits.begin(), fits.end(), [&](const Fit& fit) { return same_files(*fit.family, *fits[0].family); }))
    return std::move(fits[0].model);
  std::vector<std::string_view> names;
  for (const Fit& fit : fits) names.push_back(fit.family->name);
  throw Error(ErrorKind::kInput, target.where(), "'model._target_' is a provider that several families share",
              {.got = text_of(target),
               .want = fmt::format("one of {}, which all fit and have other names for tensors", fmt::join(names, ", ")),
               .hint = std::string(kHint)});
}

}  // namespace

const families::Family* named_family(const YamlSection& keys) {
  if (const Node* name = keys.find("family")) {
    if (name->kind != Node::Kind::kString || !families::find_by_name(name->text)) {
      std::vector<std::string_view> known;
      for (const families::Family* family : families::registry()) known.push_back(family->name);
      throw keys.bad(*name, "family", fmt::format("{}", fmt::join(known, ", ")));
    }
    return families::find_by_name(name->text);
  }
  if (!keys.find("_target_")) return nullptr;
  const std::string name = keys.target("_target_");
  for (const families::Family* family : families::registry())
    if (is_provider_of(name, *family)) return family;
  if (!is_shared(name)) throw keys.bad("_target_", fmt::format("{}", fmt::join(known_providers(), ", ")));
  return family_of_layers(keys);
}

spec::ModelSpec model_from_megatron(const Node& node) {
  const YamlSection keys(node, "model", {.hint = std::string(kHint)});
  if (const families::Family* family = named_family(keys)) return read_section_model({keys, *family}, {});
  return best_fit(keys, keys.need("_target_"));
}

}  // namespace rialto::resolve
