// Rotary embeddings in a config.json.
#include "rialto/resolve/rope_config.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::resolve {
namespace {

using bridge::ConfigKind;

constexpr double kLargest = 1e12;

/// The object of rope_scaling or rope_parameters.
class RopeObject {
 public:
  RopeObject(const HfConfig& config, Json json) : config_(config), json_(std::move(json)) {
    if (!json_.is_object())
      throw config_.bad(ConfigKind::kRopeScaling, "cannot be used", {.got = json_.dump(), .want = "an object or null"});
  }

  /// "rope_type", or "type" as transformers wrote before 4.43.
  std::string type() const {
    std::string type = "default";
    for (const char* key : {"type", "rope_type"}) {
      const auto found = json_.find(key);
      if (found == json_.end()) continue;
      if (!found->is_string()) throw bad(key, *found, "a string");
      if (type != "default" && type != found->get<std::string>())
        throw bad(key, *found, fmt::format("\"{}\", as 'type' says", type));
      type = found->get<std::string>();
    }
    return type;
  }

  bool has(const char* key) const { return json_.contains(key) && !json_.at(key).is_null(); }

  double number(const char* key) const {
    if (!has(key)) throw config_.bad(ConfigKind::kRopeScaling, fmt::format("lacks '{}'", key), {.got = json_.dump()});
    const Json& value = json_.at(key);
    if (!value.is_number() || !(value.get<double>() > 0 && value.get<double>() < kLargest))
      throw bad(key, value, "a positive number");
    return value.get<double>();
  }

  int64_t integer(const char* key, int64_t otherwise) const {
    if (!has(key)) return otherwise;
    const double value = number(key);
    if (value != static_cast<double>(static_cast<int64_t>(value))) throw bad(key, json_.at(key), "an integer");
    return static_cast<int64_t>(value);
  }

  /// Every other key would change something, or says that the type is not what it seems.
  void allow_only(std::vector<std::string> keys) const {
    for (const char* key : {"type", "rope_type", "rope_theta"}) keys.emplace_back(key);
    for (const auto& [key, value] : json_.items()) {
      if (value.is_null() || std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
      if (key == "partial_rotary_factor" && value == 1) continue;
      throw bad(key, value, fmt::format("only {} for rope type '{}'", fmt::join(keys, ", "), type()));
    }
  }

  Error bad(const std::string& key, const Json& value, const std::string& want) const {
    return config_.bad(ConfigKind::kRopeScaling, fmt::format("has a '{}' that cannot be used", key),
                       {.got = value.dump(), .want = want});
  }

 private:
  const HfConfig& config_;
  Json json_;
};

spec::RopeScaling read_scaling(const HfConfig& config, const RopeObject& object, int64_t max_positions) {
  const std::string type = object.type();
  if (type == "default") {
    object.allow_only({});
    return std::monostate();
  }
  if (type == "linear") {
    object.allow_only({"factor", "original_max_position_embeddings"});
    return spec::LinearScaling{object.number("factor")};
  }
  if (type == "llama3") {
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
  throw config.bad(ConfigKind::kRopeScaling, fmt::format("asks for rope type '{}', which is not computed here", type),
                   {.want = "default, linear or llama3"});
}

}  // namespace

spec::Rope read_rope(const HfConfig& config, int64_t max_positions) {
  spec::Rope rope;
  rope.base = config.number(ConfigKind::kRopeTheta, 1, kLargest);
  const Json scaling = config.value(ConfigKind::kRopeScaling);
  if (scaling.is_null()) return rope;
  const RopeObject object(config, scaling);
  if (object.has("rope_theta")) {
    const double inner = object.number("rope_theta");
    if (config.says(ConfigKind::kRopeTheta) && inner != rope.base)
      throw config.bad(ConfigKind::kRopeTheta, "disagrees with the rope_theta of rope_parameters",
                       {.got = fmt::format("{} and {}", rope.base, inner)});
    rope.base = inner;
  }
  rope.scaling = read_scaling(config, object, max_positions);
  return rope;
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
  return nullptr;
}

}  // namespace rialto::resolve
