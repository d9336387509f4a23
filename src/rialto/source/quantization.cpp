// Reading quantization_config.
#include "rialto/source/quantization.h"

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::source {
namespace {

/// Key `key` of `object` is absent, null or `want`.
void require(const Json& object, const char* key, const Json& want, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null() || *found == want) return;
  throw Error(ErrorKind::kInput, where,
              fmt::format("quantization_config asks for a '{}' that is not decoded here", key),
              {.got = found->dump(), .want = want.dump()});
}

/// compressed-tensors: one group of layers, whose weights have a scheme.
void check_groups(const Json& quantization, const std::string& where) {
  require(quantization, "format", "pack-quantized", where);
  const auto groups = quantization.find("config_groups");
  if (groups == quantization.end() || !groups->is_object()) return;
  for (const auto& [name, group] : groups->items()) {
    const auto weights = group.is_object() ? group.find("weights") : group.end();
    if (!group.is_object() || weights == group.end() || !weights->is_object())
      throw Error(ErrorKind::kInput, where, "quantization_config has a group without a scheme of its weights",
                  {.got = name});
    require(*weights, "num_bits", 4, where);
    require(*weights, "type", "int", where);
    require(*weights, "symmetric", true, where);
    require(*weights, "strategy", "group", where);
  }
}

}  // namespace

void check_quantization(const Json& config, const std::string& where) {
  const auto found = config.find("quantization_config");
  if (found == config.end() || found->is_null()) return;
  const Json& quantization = *found;
  const auto method = quantization.is_object() ? quantization.find("quant_method") : quantization.end();
  const std::string name =
      quantization.is_object() && method != quantization.end() && method->is_string() ? method->get<std::string>() : "";
  if (name == "fp8") {
    require(quantization, "fmt", "e4m3", where);
    require(quantization, "weight_block_size", Json::array({128, 128}), where);
  } else if (name == "compressed-tensors") {
    check_groups(quantization, where);
  } else if (name != "mxfp4") {
    throw Error(ErrorKind::kInput, where, "quantization_config names a method that is not decoded here",
                {.got = name.empty() ? quantization.dump() : name, .want = "fp8, mxfp4 or compressed-tensors"});
  }
}

}  // namespace rialto::source
