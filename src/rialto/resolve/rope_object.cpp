// The object of rope_scaling or rope_parameters.
#include "rialto/resolve/rope_object.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/base/error.h"
#include "rialto/resolve/limits.h"

namespace rialto::resolve {

using bridge::ConfigKind;

RopeObject::RopeObject(const HfConfig& config, Json json) : config_(config), json_(std::move(json)) {
  if (json_.is_null()) json_ = Json::object();
  if (!json_.is_object())
    throw config_.bad(ConfigKind::kRopeScaling, "cannot be used", {.got = json_.dump(), .want = "an object or null"});
}

std::string RopeObject::type() const {
  std::string type = "default";
  for (const char* key : {"type", "rope_type"}) {
    const auto found = json_.find(key);
    if (found == json_.end() || found->is_null()) continue;
    if (!found->is_string()) throw bad(key, *found, "a string");
    if (type != "default" && type != found->get<std::string>())
      throw bad(key, *found, fmt::format("\"{}\", as 'type' says", type));
    type = found->get<std::string>();
  }
  return type;
}

bool RopeObject::has(const char* key) const { return json_.contains(key) && !json_.at(key).is_null(); }

Json RopeObject::at(const char* key) const { return has(key) ? json_.at(key) : Json(); }

double RopeObject::number(const char* key) const {
  if (!has(key)) throw config_.bad(ConfigKind::kRopeScaling, fmt::format("lacks '{}'", key), {.got = json_.dump()});
  const Json& value = json_.at(key);
  if (!value.is_number() || !(value.get<double>() > 0 && value.get<double>() < kLargest))
    throw bad(key, value, "a positive number");
  return value.get<double>();
}

std::optional<double> RopeObject::optional_number(const char* key) const {
  if (!has(key)) return {};
  const Json& value = json_.at(key);
  if (value.is_number() && value.get<double>() == 0) return 0.0;
  return number(key);
}

double RopeObject::number_or(const char* key, double otherwise) const {
  const double value = optional_number(key).value_or(0);
  return value == 0 ? otherwise : value;
}

int64_t RopeObject::integer(const char* key, int64_t otherwise) const {
  if (!has(key)) return otherwise;
  const double value = number(key);
  if (value != static_cast<double>(static_cast<int64_t>(value))) throw bad(key, json_.at(key), "an integer");
  return static_cast<int64_t>(value);
}

bool RopeObject::flag(const char* key, bool otherwise) const {
  if (!has(key)) return otherwise;
  if (!json_.at(key).is_boolean()) throw bad(key, json_.at(key), "true or false");
  return json_.at(key).get<bool>();
}

std::vector<double> RopeObject::list(const char* key, size_t size) const {
  const Json value = at(key);
  const auto positive = [](const Json& item) {
    return item.is_number() && item.get<double>() > 0 && item.get<double>() < kLargest;
  };
  if (!value.is_array() || value.size() != size || !std::all_of(value.begin(), value.end(), positive))
    throw bad(key, value, fmt::format("a list of {} positive numbers", size));
  return value.get<std::vector<double>>();
}

void RopeObject::allow_only(std::vector<std::string> keys) const {
  for (const char* key : {"type", "rope_type", "rope_theta", "partial_rotary_factor"}) keys.emplace_back(key);
  for (const auto& [key, value] : json_.items())
    if (!value.is_null() && std::find(keys.begin(), keys.end(), key) == keys.end())
      throw bad(key, value, fmt::format("only {} for rope type '{}'", fmt::join(keys, ", "), type()));
}

Error RopeObject::bad(const std::string& key, const Json& value, const std::string& want) const {
  return config_.bad(ConfigKind::kRopeScaling, fmt::format("has a '{}' that cannot be used", key),
                     {.got = value.dump(), .want = want});
}

}  // namespace rialto::resolve
