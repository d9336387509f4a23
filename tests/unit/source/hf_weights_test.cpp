// A folder with coded tensors: what is read is code times scale, and what a write-back needs is kept.
#include "rialto/source/hf_weights.h"

#include "rialto/hub/source_layout.h"
#include "tests/unit/convert/toy.h"

namespace rialto::source {
namespace {

using convert::ToyTensor;
using store::TempDir;

constexpr const char* kCoded = "model.layers.1.mlp.up_proj.weight";

/// A toy Llama of which one matrix [10, 16] is 1.5 everywhere in codes (0x3C), with a scale of 2.
fs::path write_coded(const fs::path& dir) {
  Json config = convert::toy_config();
  std::vector<ToyTensor> tensors = convert::toy_tensors(config);
  config["quantization_config"] = {{"quant_method", "fp8"}, {"fmt", "e4m3"}, {"weight_block_size", {128, 128}}};
  for (ToyTensor& tensor : tensors)
    if (tensor.name == kCoded) tensor = {kCoded, DType::kF8E4M3, tensor.shape, std::string(160, '\x3C')};
  tensors.push_back({std::string(kCoded) + "_scale_inv", DType::kF32, {1, 1}, std::string("\0\0\0\x40", 4)});
  return convert::write_hf(dir, config, tensors);
}

TEST(HfWeights, ReadsCodesTimesScale) {
  const TempDir dir;
  const HfWeights weights = open_hf_weights(write_coded(dir / "hf"));
  const bridge::ByteReader read = weights.reader();
  bool found = false;
  for (uint32_t i = 0; i < weights.map.hf.size(); ++i) {
    if (weights.map.hf[i].name != kCoded) continue;
    found = true;
    std::vector<uint16_t> values(160);
    read(i, 0, std::as_writable_bytes(std::span(values)));
    EXPECT_EQ(values, std::vector<uint16_t>(160, 0x4040));  // 3.0
  }
  EXPECT_TRUE(found);
}

TEST(HfWeights, KeepsTheScalesForTheWayBack) {
  const TempDir dir;
  convert::convert_plain(write_coded(dir / "hf"), dir / "native");
  const fs::path folder = dir / "native/iter_0000001";
  EXPECT_TRUE(fs::exists(folder / hub::kScalesFile));
  convert::convert_plain(dir / "native", dir / "back");
  convert::expect_same_folder(dir / "hf", dir / "back");
}

TEST(HfWeights, AModelOfAnotherShapeDoesNotMatch) {
  const TempDir dir;
  const fs::path folder = write_coded(dir / "hf");
  spec::ModelSpec model = hf_model(folder);
  EXPECT_EQ(model.layers.size(), 3U);
  model.layers.pop_back();
  store::expect_error(ErrorKind::kInput, {"model.layers.2."}, [&] { open_hf_weights(folder, &model); });
}

}  // namespace
}  // namespace rialto::source
