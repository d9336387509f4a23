// Rotary embeddings in a config.json.
#include "rialto/resolve/rope_config.h"

#include <cmath>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/resolve/limits.h"
#include "rialto/resolve/rope_object.h"

namespace rialto::resolve {
namespace {

using bridge::ConfigKind;

spec::Llama3Scaling read_llama3(const HfConfig& config, const RopeObject& object, int64_t max_positions) {
  object.allow_only({"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"});
  const spec::Llama3Scaling scaling{
      .factor = object.number("factor"),
      .low_freq_factor = object.number("low_freq_factor"),
      .high_freq_factor = object.number("high_freq_factor"),
      .original_max_positions = object.integer("original_max_position_embeddings", max_positions)};
  if (!(scaling.high_freq_factor > scaling.low_freq_factor))
    throw config.bad(ConfigKind::kRopeScaling, "has a high_freq_factor that is not above its low_freq_factor",
                     {.got = fmt::format("{} and {}", scaling.high_freq_factor, scaling.low_freq_factor)});
  return scaling;
}

spec::YarnScaling read_yarn(const RopeObject& object, int64_t max_positions) {
  object.allow_only({"factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow",
                     "mscale", "mscale_all_dim", "truncate"});
  spec::YarnScaling scaling{.beta_fast = object.number_or("beta_fast", 32),
                            .beta_slow = object.number_or("beta_slow", 1),
                            .original_max_positions = object.integer("original_max_position_embeddings", max_positions),
                            .attention_factor = object.optional_number("attention_factor"),
                            .mscale = object.optional_number("mscale"),
                            .mscale_all_dim = object.optional_number("mscale_all_dim"),
                            .truncate = object.flag("truncate", true)};
  scaling.factor = object.has("factor") || !object.has("original_max_position_embeddings")
                       ? object.number("factor")
                       : static_cast<double>(max_positions) / static_cast<double>(scaling.original_max_positions);
  return scaling;
}

/// The original length stands beside the object and counts before one inside it.
spec::LongRopeScaling read_longrope(const HfConfig& config, const RopeObject& object, int64_t dim,
                                    int64_t max_positions) {
  object.allow_only({"factor", "short_factor", "long_factor", "attention_factor", "original_max_position_embeddings"});
  const auto pairs = static_cast<size_t>(dim / 2);
  spec::LongRopeScaling scaling{
      .short_factors = object.list("short_factor", pairs),
      .long_factors = object.list("long_factor", pairs),
      .original_max_positions = config.integer(ConfigKind::kOriginalPositions, 2, kMaxPositions)};
  const auto original = static_cast<double>(scaling.original_max_positions);
  const double factor = object.number_or("factor", static_cast<double>(max_positions) / original);
  const double usual = factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(original));
  scaling.attention_factor = object.optional_number("attention_factor").value_or(usual);
  return scaling;
}

spec::RopeScaling read_scaling(const HfConfig& config, const RopeObject& object, int64_t dim, int64_t max_positions) {
  const std::string type = object.type();
  const bool long_lists = config.has(ConfigKind::kOriginalPositions);
  if (type == "default") {
    object.allow_only({});
    return std::monostate();
  }
  if (type == "linear") {
    object.allow_only({"factor", "original_max_position_embeddings"});
    return spec::LinearScaling{object.number("factor")};
  }
  if (type == "llama3") return read_llama3(config, object, max_positions);
  // Phi-3's first files call it "su" or "yarn"; Sarvam's call DeepSeek's YaRN after it.
  if (long_lists && (type == "longrope" || type == "su" || type == "yarn"))
    return read_longrope(config, object, dim, max_positions);
  if (type == "yarn" || (type == "deepseek_yarn" && config.family().traits.latent))
    return read_yarn(object, max_positions);
  throw config.bad(ConfigKind::kRopeScaling, fmt::format("asks for rope type '{}', which is not computed here", type),
                   {.want = long_lists ? "default, linear, llama3 or longrope" : "default, linear, llama3 or yarn"});
}

/// How many channels turn: inside the object, beside it as a share, or as a number.
int64_t read_dim(const HfConfig& config, const RopeObject& object, int64_t head_dim) {
  double share = 1;
  const bool partial = config.has(ConfigKind::kPartialRotary), counted = config.has(ConfigKind::kRotaryDim);
  if (object.has("partial_rotary_factor")) {
    share = object.number("partial_rotary_factor");
    if (share != 1 && !partial && !counted)
      throw object.bad("partial_rotary_factor", object.at("partial_rotary_factor"), "1");
  } else if (partial && (config.says(ConfigKind::kPartialRotary) || !counted)) {
    share = config.number(ConfigKind::kPartialRotary, 0, 1);
  } else if (counted) {
    const auto dim = config.integer_or_null(ConfigKind::kRotaryDim, 1, kMaxSize);
    share = dim ? static_cast<double>(*dim) / static_cast<double>(head_dim) : 1;
  }
  const auto dim = static_cast<int64_t>(static_cast<double>(head_dim) * share);
  if (dim < 2 || dim > head_dim || dim % 2 != 0)
    throw Error(ErrorKind::kInput, config.where(), "the channels of a head that turn must be an even number",
                {.got = fmt::format("{} of {}", dim, head_dim)});
  return dim;
}

spec::Rope read_rope(const HfConfig& config, const RopeObject& object, ConfigKind theta, int64_t head_dim,
                     int64_t max_positions) {
  spec::Rope rope{.base = config.number(theta, 1, kLargest), .pairing = config.family().traits.pairing};
  if (object.has("rope_theta")) {
    const double inner = object.number("rope_theta");
    if (config.says(theta) && inner != rope.base)
      throw config.bad(theta, "disagrees with the rope_theta of rope_parameters",
                       {.got = fmt::format("{} and {}", rope.base, inner)});
    rope.base = inner;
  }
  if (config.has(ConfigKind::kRopeAdjacent))
    rope.pairing = config.boolean(ConfigKind::kRopeAdjacent) ? spec::RopePairing::kAdjacent : spec::RopePairing::kHalf;
  rope.dim = read_dim(config, object, head_dim);
  rope.scaling = read_scaling(config, object, rope.dim, max_positions);
  return rope;
}

}  // namespace

Ropes read_ropes(const HfConfig& config, int64_t head_dim, int64_t max_positions) {
  Json scaling = config.value(ConfigKind::kRopeScaling);
  if (scaling.is_null()) scaling = config.alternatives(ConfigKind::kRopeScaling).front();
  const RopeObject object(config, scaling);
  if (!config.has(ConfigKind::kRopeLocalTheta))
    return {.global = read_rope(config, object, ConfigKind::kRopeTheta, head_dim, max_positions), .local = {}};
  const bool nested = object.has("full_attention") || object.has("sliding_attention");
  if (nested)
    for (const auto& [key, value] : scaling.items())
      if (key != "full_attention" && key != "sliding_attention")
        throw object.bad(key, value, "one object per kind of layer");
  const RopeObject global = nested ? RopeObject(config, object.at("full_attention")) : object;
  const RopeObject local(config, object.at("sliding_attention"));
  return {.global = read_rope(config, global, ConfigKind::kRopeTheta, head_dim, max_positions),
          .local = read_rope(config, local, ConfigKind::kRopeLocalTheta, head_dim, max_positions)};
}

Json write_rope_scaling(const spec::RopeScaling& scaling) {
  if (const auto* linear = std::get_if<spec::LinearScaling>(&scaling))
    return {{"factor", linear->factor}, {"rope_type", "linear"}};
  if (const auto* llama3 = std::get_if<spec::Llama3Scaling>(&scaling))
    return {{"factor", llama3->factor},
            {"high_freq_factor", llama3->high_freq_factor},
            {"low_freq_factor", llama3->low_freq_factor},
            {"original_max_position_embeddings", llama3->original_max_positions},
            {"rope_type", "llama3"}};
  if (const auto* longrope = std::get_if<spec::LongRopeScaling>(&scaling))
    return {{"attention_factor", longrope->attention_factor},
            {"long_factor", longrope->long_factors},
            {"rope_type", "longrope"},
            {"short_factor", longrope->short_factors}};
  const auto* yarn = std::get_if<spec::YarnScaling>(&scaling);
  if (!yarn) return nullptr;
  Json json = Json::object();
  if (yarn->attention_factor) json["attention_factor"] = *yarn->attention_factor;
  json["beta_fast"] = yarn->beta_fast;
  json["beta_slow"] = yarn->beta_slow;
  json["factor"] = yarn->factor;
  if (yarn->mscale) json["mscale"] = *yarn->mscale;
  if (yarn->mscale_all_dim) json["mscale_all_dim"] = *yarn->mscale_all_dim;
  json["original_max_position_embeddings"] = yarn->original_max_positions;
  json["rope_type"] = "yarn";
  if (!yarn->truncate) json["truncate"] = false;
  return json;
}

double rotary_share(int64_t dim, int64_t head_dim) {
  double share = static_cast<double>(dim) / static_cast<double>(head_dim);
  while (static_cast<int64_t>(static_cast<double>(head_dim) * share) < dim) share = std::nextafter(share, 2.0);
  return share;
}

}  // namespace rialto::resolve
