// Bases, shares and scalings. Source: Megatron-Core 0.16.1 models/common/embeddings, rotary_pos_embedding.py and
// yarn_rotary_pos_embedding.py.
#include "rialto/resolve/section_rope.h"

#include <fmt/format.h>

#include "rialto/config/model_keys.h"
#include "rialto/resolve/limits.h"

namespace rialto::resolve {
namespace {

using bridge::ConfigKind;
using config::unwrapped;

constexpr double kUsualBase = 10000;

bool is_number(const Node& node) { return node.kind == Node::Kind::kInt || node.kind == Node::Kind::kFloat; }

struct Bases {
  double local = kUsualBase, global = kUsualBase;
};

Bases read_bases(const SectionSource& source) {
  const YamlSection& keys = source.keys;
  const Node* at = keys.find("rotary_base");
  const Node* list = at ? &unwrapped(*at) : nullptr;
  if (!list || list->kind != Node::Kind::kList) {
    const double base = keys.number_or("rotary_base", 1, kLargest, kUsualBase);
    return {base, base};
  }
  const auto fits = [](const Node& item) { return is_number(item) && item.number >= 1 && item.number <= kLargest; };
  if (!source.open(ConfigKind::kRopeLocalTheta) || list->items.size() != 2 || !fits(list->items[0]) ||
      !fits(list->items[1]))
    throw keys.bad(*at, "rotary_base", source.open(ConfigKind::kRopeLocalTheta) ? "a number or two" : "a number");
  return {list->items[0].number, list->items[1].number};
}

/// Megatron-Core: int(head size * rotary_percent).
int64_t turning(const SectionSource& source, int64_t head_dim) {
  const double share = source.keys.number_or("rotary_percent", 0, 1, 1);
  const auto dim = static_cast<int64_t>(static_cast<double>(head_dim) * share);
  if (share != 1 && !source.open(ConfigKind::kPartialRotary) && !source.open(ConfigKind::kRotaryDim))
    throw source.keys.not_computed("rotary_percent", fmt::format("1 ({})", source.family.title));
  if (dim < 2 || dim % 2 != 0)
    throw source.keys.bad("rotary_percent", fmt::format("a share that makes an even number of {} channels", head_dim));
  return dim;
}

/// Cosines and sines are scaled by get(mscale) / get(mscale_all_dim), where transformers takes get(1) unless both are
/// given. Where neither name says that number, the factor itself does.
void set_factor(spec::YarnScaling& yarn, std::optional<double> mscale, std::optional<double> all) {
  if (!mscale || !all || (*mscale == 1 && *all == 0)) return;
  yarn.mscale = mscale;
  yarn.mscale_all_dim = all;
  const double wanted = spec::yarn_mscale(yarn.factor, *mscale) / spec::yarn_mscale(yarn.factor, *all);
  if (spec::attention_factor(yarn) != wanted) yarn.attention_factor = wanted;
}

std::optional<double> number(const YamlSection& keys, const std::string& key, std::optional<double> otherwise) {
  return keys.find(key) ? keys.number_or(key, 0, kLargest, 0) : otherwise;
}

/// `prefix`: "" of latent attention, whose values have defaults.
spec::YarnScaling read_yarn(const SectionSource& source, const std::string& prefix) {
  const YamlSection& keys = source.keys;
  const bool latent = prefix.empty();
  const std::string factor = prefix + "rotary_scaling_factor", length = prefix + "original_max_position_embeddings";
  if (!latent) {
    keys.need(factor);
    keys.need(length);
  }
  spec::YarnScaling yarn{.factor = keys.number_or(factor, 1e-6, kLargest, 40),
                         .beta_fast = keys.number_or(prefix + "beta_fast", 1e-6, kLargest, 32),
                         .beta_slow = keys.number_or(prefix + "beta_slow", 1e-6, kLargest, 1),
                         .original_max_positions = keys.size_or(length, kMaxPositions, 4096)};
  if (!latent) yarn.truncate = keys.flag_or(prefix + "correction_range_round_to_int", true);
  const std::optional<double> one = latent ? std::optional<double>(1) : std::nullopt;
  const std::optional<double> none = latent ? std::optional<double>(0) : std::nullopt;
  set_factor(yarn, number(keys, prefix + "mscale", one), number(keys, prefix + "mscale_all_dim", none));
  if (const auto given = number(keys, prefix + "attention_factor", {})) yarn.attention_factor = given;
  return yarn;
}

spec::Llama3Scaling read_llama3(const YamlSection& keys) {
  const spec::Llama3Scaling usual;
  const spec::Llama3Scaling scaling{
      .factor = keys.number_or("rope_scaling_factor", 1e-6, kLargest, usual.factor),
      .low_freq_factor = keys.number_or("rope_scaling_low_freq_factor", 1e-6, kLargest, usual.low_freq_factor),
      .high_freq_factor = keys.number_or("rope_scaling_high_freq_factor", 1e-6, kLargest, usual.high_freq_factor),
      .original_max_positions =
          keys.size_or("rope_scaling_original_max_position_embeddings", kMaxPositions, usual.original_max_positions)};
  if (!(scaling.high_freq_factor > scaling.low_freq_factor))
    throw keys.bad("rope_scaling_high_freq_factor", "more than rope_scaling_low_freq_factor");
  return scaling;
}

/// Positions divided by a factor; Gemma 3's provider, which is known by its pattern, calls it rope_scaling_factor.
double interpolation(const SectionSource& source) {
  const YamlSection& keys = source.keys;
  const double factor = keys.number_or("seq_len_interpolation_factor", 1e-6, kLargest, 1);
  if (!source.megatron() || !source.open(ConfigKind::kRopeLocalTheta) || !keys.find("interleaved_attn_pattern"))
    return factor;
  if (factor != 1) throw keys.not_computed("seq_len_interpolation_factor", "null, for Gemma 3's provider");
  return keys.number_or("rope_scaling_factor", 1e-6, kLargest, 1);
}

spec::RopeScaling read_scaling(const SectionSource& source) {
  const YamlSection& keys = source.keys;
  const bool llama3 = keys.flag_or("rope_scaling", false);
  const Node* kind = source.megatron() ? &keys.need("position_embedding_type") : keys.find("position_embedding_type");
  const bool yarn = kind && says(*kind, "yarn");
  if (kind && !yarn && !says(*kind, "rope")) throw keys.not_computed("position_embedding_type", "rope or yarn");
  const double factor = interpolation(source);
  if (llama3 + yarn + (factor != 1) > 1)
    throw factor != 1 ? keys.bad("seq_len_interpolation_factor", "null beside another scaling")
                      : keys.bad("rope_scaling", "false beside yarn");
  if (llama3) return read_llama3(keys);
  if (yarn) return read_yarn(source, "yarn_");
  if (factor != 1) return spec::LinearScaling{factor};
  return {};
}

}  // namespace

SectionRopes read_section_ropes(const SectionSource& source, int64_t head_dim) {
  const bool adjacent = source.traits().pairing == spec::RopePairing::kAdjacent;
  source.flag("rotary_interleaved", false, adjacent);
  if (source.megatron()) source.fixed("rotary_scaling_factor", "null");
  const Bases bases = read_bases(source);
  SectionRopes ropes;
  ropes.global = {.base = bases.global,
                  .dim = turning(source, head_dim),
                  .scaling = read_scaling(source),
                  .pairing = source.traits().pairing};
  if (source.open(ConfigKind::kRopeLocalTheta))
    ropes.local =
        spec::Rope{.base = bases.local, .dim = ropes.global.dim, .scaling = {}, .pairing = source.traits().pairing};
  return ropes;
}

spec::Rope read_latent_rope(const SectionSource& source, int64_t dim) {
  const YamlSection& keys = source.keys;
  source.fixed("position_embedding_type", "rope", true);
  source.fixed("rotary_percent", "1");
  source.fixed("rotary_interleaved", "false");  // neighbours are paired without being asked
  source.fixed("rope_scaling", "false");
  source.fixed("seq_len_interpolation_factor", "null");
  spec::Rope rope{
      .base = keys.number_or("rotary_base", 1, kLargest, kUsualBase), .dim = dim, .pairing = source.traits().pairing};
  const Node* type = keys.find("rope_type");
  if (type && !says(*type, "yarn") && !says(*type, "rope")) throw keys.bad(*type, "rope_type", "yarn or rope");
  const bool yarn = type ? says(*type, "yarn") : source.megatron();
  if (yarn) rope.scaling = read_yarn(source, "");
  // Megatron scales the scores by these whatever the type of rope is.
  if (!yarn && source.megatron() &&
      spec::yarn_mscale(keys.number_or("rotary_scaling_factor", 1e-6, kLargest, 40),
                        keys.number_or("mscale_all_dim", 0, kLargest, 0)) != 1)
    throw keys.not_computed("mscale_all_dim", "0, without yarn");
  return rope;
}

}  // namespace rialto::resolve
