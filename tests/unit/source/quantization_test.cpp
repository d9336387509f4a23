// quantization_config: the published schemes are taken, anything else is refused by key and value.
#include "rialto/source/quantization.h"

#include "tests/unit/store/toy.h"

namespace rialto::source {
namespace {

using store::expect_error;

const Json kFp8 = {
    {"quant_method", "fp8"}, {"fmt", "e4m3"}, {"activation_scheme", "dynamic"}, {"weight_block_size", {128, 128}}};
const Json kWeights = {
    {"num_bits", 4}, {"type", "int"}, {"symmetric", true}, {"strategy", "group"}, {"group_size", 32}};

Json packed(const Json& weights) {
  return {{"quant_method", "compressed-tensors"},
          {"format", "pack-quantized"},
          {"config_groups", {{"group_0", {{"targets", {"Linear"}}, {"weights", weights}}}}}};
}

Json with(Json object, const char* key, const Json& value) {
  object[key] = value;
  return object;
}

void refused(const Json& quantization, const std::vector<std::string>& words) {
  expect_error(ErrorKind::kInput, words,
               [&] { check_quantization({{"quantization_config", quantization}}, "config.json"); });
}

TEST(Quantization, PublishedSchemesAreTaken) {
  for (const Json& quantization : {Json(nullptr), kFp8, with(kFp8, "weight_block_size", nullptr), packed(kWeights),
                                   Json{{"quant_method", "mxfp4"}, {"modules_to_not_convert", {"lm_head"}}}})
    check_quantization({{"quantization_config", quantization}}, "config.json");
  check_quantization(Json::object(), "config.json");
}

TEST(Quantization, OthersAreRefusedByKeyAndValue) {
  refused(with(kFp8, "fmt", "e5m2"), {"'fmt'", "e5m2"});
  refused(with(kFp8, "weight_block_size", {64, 128}), {"'weight_block_size'", "[64,128]"});
  refused(with(packed(kWeights), "format", "marlin-24"), {"'format'", "marlin-24"});
  refused(packed(with(kWeights, "num_bits", 8)), {"'num_bits'", "8"});
  refused(packed(with(kWeights, "type", "float")), {"'type'", "float"});
  refused(packed(with(kWeights, "symmetric", false)), {"'symmetric'", "false"});
  refused(packed(with(kWeights, "strategy", "channel")), {"'strategy'", "channel"});
  refused(packed(nullptr), {"group_0"});
  refused({{"quant_method", "awq"}}, {"awq", "compressed-tensors"});
  refused(4, {"4", "mxfp4"});
}

}  // namespace
}  // namespace rialto::source
