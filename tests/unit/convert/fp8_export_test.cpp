// --dtype fp8-block: which tensors become codes, what stands beside them, and that they come back as they are.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "rialto/hub/hf_directory.h"
#include "tests/unit/convert/toy.h"

namespace rialto::convert {
namespace {

/// Widths beyond a block, none a multiple of it.
Json wide_config(bool tied = false) {
  Json config = toy_config(tied);
  config["hidden_size"] = 160;
  config["intermediate_size"] = 140;
  return config;
}

Json moe_config() {
  return Json{{"architectures", {"Qwen3MoeForCausalLM"}},
              {"model_type", "qwen3_moe"},
              {"hidden_size", 16},
              {"num_hidden_layers", 2},
              {"num_attention_heads", 4},
              {"num_key_value_heads", 2},
              {"head_dim", 4},
              {"intermediate_size", 12},
              {"moe_intermediate_size", 8},
              {"num_experts", 3},
              {"num_experts_per_tok", 2},
              {"norm_topk_prob", true},
              {"vocab_size", 37},
              {"max_position_embeddings", 64},
              {"rms_norm_eps", 1e-6},
              {"tie_word_embeddings", false},
              {"rope_theta", 10000.0},
              {"hidden_act", "silu"},
              {"torch_dtype", "bfloat16"}};
}

void to_fp8(ConvertOptions& options) { options.fp8_blocks = true; }

std::vector<float> floats_of(const hub::HfDirectory& directory, const std::string& name) {
  const hub::HfTensor& tensor = directory.tensors().at(name);
  std::vector<std::byte> bytes(tensor.entry.size());
  directory.read(tensor, 0, bytes);
  std::vector<float> values(static_cast<size_t>(num_elements(tensor.entry.shape)));
  cast_elements(bytes.data(), tensor.entry.dtype, values.data(), DType::kF32, values.size());
  return values;
}

TEST(Fp8Export, ProjectionsBecomeCodesAndNothingElseDoes) {
  const TempDir dir;
  const Json config = wide_config();
  write_hf(dir / "hf", config, toy_tensors(config), 2);
  convert_plain(dir / "hf", dir / "native");
  convert_plain(dir / "native", dir / "fp8", to_fp8);
  const hub::HfDirectory directory(dir / "fp8"), plain(dir / "hf");
  EXPECT_EQ(directory.shards(), plain.shards());
  size_t coded = 0;
  uint64_t bytes = 0;
  for (const auto& [name, tensor] : directory.tensors()) bytes += tensor.entry.size();
  for (const auto& [name, tensor] : plain.tensors()) {
    const auto& entry = directory.tensors().at(name).entry;
    EXPECT_EQ(entry.shape, tensor.entry.shape);
    const bool projection = name.find("_proj.") != name.npos;
    EXPECT_EQ(entry.dtype, projection ? DType::kF8E4M3 : DType::kBF16) << name;
    EXPECT_EQ(directory.tensors().contains(name + "_scale_inv"), projection) << name;
    if (!projection) continue;
    ++coded;
    const auto& scales = directory.tensors().at(name + "_scale_inv").entry;
    EXPECT_EQ(scales.dtype, DType::kF32);
    EXPECT_EQ(scales.shape, (Shape{(entry.shape[0] + 127) / 128, (entry.shape[1] + 127) / 128})) << name;
  }
  EXPECT_EQ(coded, 21u);
  EXPECT_EQ(directory.tensors().size(), plain.tensors().size() + coded);
  EXPECT_EQ(read_json_file(dir / "fp8/model.safetensors.index.json")["metadata"]["total_size"], bytes);
  EXPECT_EQ(directory.config()["quantization_config"], (Json{{"activation_scheme", "dynamic"},
                                                             {"fmt", "e4m3"},
                                                             {"quant_method", "fp8"},
                                                             {"weight_block_size", {128, 128}},
                                                             {"modules_to_not_convert", {"lm_head"}}}));
  EXPECT_EQ(directory.config()["torch_dtype"], "bfloat16");
}

TEST(Fp8Export, ScalesPutTheLargestOfABlockAt448) {
  const TempDir dir;
  const Json config = wide_config();
  std::vector<ToyTensor> tensors = toy_tensors(config);
  const std::string name = "model.layers.1.mlp.gate_proj.weight";
  for (ToyTensor& tensor : tensors)
    if (tensor.name == name)  // the last block, of 12 rows and 32 columns, is zero
      for (size_t row = 128; row < 140; ++row)
        std::fill_n(tensor.bytes.begin() + static_cast<std::ptrdiff_t>((row * 160 + 128) * 2), 64, '\0');
  write_hf(dir / "hf", config, tensors);
  convert_plain(dir / "hf", dir / "native");
  convert_plain(dir / "native", dir / "fp8", to_fp8);
  const std::vector<float> values = floats_of(hub::HfDirectory(dir / "hf"), name);
  const std::vector<float> scales = floats_of(hub::HfDirectory(dir / "fp8"), name + "_scale_inv");
  ASSERT_EQ(scales.size(), 4u);
  float most[4] = {};
  for (size_t i = 0; i < values.size(); ++i) {
    float& block = most[i / 160 / 128 * 2 + i % 160 / 128];
    block = std::max(block, std::fabs(values[i]));
  }
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(scales[i], most[i] / 448.0f) << i;
  EXPECT_EQ(most[3], 0);
  EXPECT_EQ(scales[3], 1) << "a block of zeros needs a scale that divides";
}

TEST(Fp8Export, CodesComeBackByteForByte) {
  const TempDir dir;
  for (const bool tied : {false, true}) {
    const fs::path at = dir / (tied ? "tied" : "untied");
    const Json config = wide_config(tied);
    write_hf(at / "hf", config, toy_tensors(config));
    convert_plain(at / "hf", at / "native");
    convert_plain(at / "native", at / "fp8", to_fp8);
    EXPECT_EQ(hub::HfDirectory(at / "fp8").config()["quantization_config"]["modules_to_not_convert"], Json{"lm_head"});
    convert_plain(at / "fp8", at / "again");
    convert_plain(at / "again", at / "plain");
    expect_same_folder(at / "fp8", at / "plain");
    // Asked for on a source that was FP8 already: its own codes and scales stand, its config too.
    const ConvertReport report = convert_plain(at / "again", at / "asked", to_fp8);
    expect_same_folder(at / "fp8", at / "asked");
    ASSERT_FALSE(report.notices.empty());
    EXPECT_NE(report.notices.back().find("FP8 already"), std::string::npos);
    // (cast on import, each is the bf16 number that the codes mean)
    convert_plain(at / "fp8", at / "wide", [](ConvertOptions& o) { o.dtype = DType::kF32; });
    convert_plain(at / "again", at / "bf16", [](ConvertOptions& o) { o.dtype = DType::kBF16; });
    convert_plain(at / "wide", at / "fp32", [](ConvertOptions& o) { o.dtype = DType::kF32; });
    const hub::HfDirectory narrow(at / "bf16"), wide(at / "fp32");
    for (const auto& [name, tensor] : narrow.tensors())
      EXPECT_EQ(floats_of(narrow, name), floats_of(wide, name)) << name;
    // Numbers that are stored wider by now are still those that the codes mean.
    convert_plain(at / "wide", at / "from_wide", to_fp8);
    const std::string name = "model.layers.0.self_attn.q_proj.weight";
    EXPECT_EQ(floats_of(hub::HfDirectory(at / "from_wide"), name + "_scale_inv"),
              floats_of(hub::HfDirectory(at / "fp8"), name + "_scale_inv"));
  }
}

TEST(Fp8Export, RoutersStayNumbersAndAreNamedInTheConfig) {
  const TempDir dir;
  const Json config = moe_config();
  write_hf(dir / "hf", config, toy_tensors(config));
  convert_plain(dir / "hf", dir / "native");
  convert_plain(dir / "native", dir / "fp8", to_fp8);
  const hub::HfDirectory directory(dir / "fp8");
  EXPECT_EQ(directory.tensors().at("model.layers.1.mlp.gate.weight").entry.dtype, DType::kBF16);
  EXPECT_EQ(directory.tensors().at("model.layers.1.mlp.experts.2.down_proj.weight").entry.dtype, DType::kF8E4M3);
  EXPECT_EQ(directory.config()["quantization_config"]["modules_to_not_convert"],
            (Json{"lm_head", "model.layers.0.mlp.gate", "model.layers.1.mlp.gate"}));
}

TEST(Fp8Export, WithoutARecordedLayout) {
  const TempDir dir;
  const Json config = wide_config();
  write_hf(dir / "hf", config, toy_tensors(config));
  convert_plain(dir / "hf", dir / "native");
  convert_plain(dir / "native", dir / "fp8", to_fp8);
  fs::remove(dir / "native/iter_0000001/manifest.json");
  fs::remove_all(dir / "native/iter_0000001/rialto_source");
  convert_plain(dir / "native", dir / "derived", to_fp8);
  const hub::HfDirectory want(dir / "fp8"), got(dir / "derived");
  ASSERT_EQ(got.tensors().size(), want.tensors().size());
  for (const auto& [name, tensor] : want.tensors()) {
    std::vector<std::byte> a(tensor.entry.size()), b(got.tensors().at(name).entry.size());
    want.read(tensor, 0, a);
    got.read(got.tensors().at(name), 0, b);
    EXPECT_EQ(a, b) << name;
  }
  EXPECT_EQ(got.config()["quantization_config"], want.config()["quantization_config"]);
}

TEST(Fp8Export, InfiniteWeightsAndImportsAreRefused) {
  const TempDir dir;
  const Json config = wide_config();
  std::vector<ToyTensor> tensors = toy_tensors(config);
  for (ToyTensor& tensor : tensors)
    if (tensor.name == "model.layers.2.self_attn.o_proj.weight") {
      tensor.bytes[0] = '\x80';
      tensor.bytes[1] = '\x7f';  // bf16 infinity
    }
  write_hf(dir / "hf", config, tensors);
  expect_error(ErrorKind::kConfig, {"--dtype", "fp8-block"}, [&] { convert_plain(dir / "hf", dir / "n", to_fp8); });
  convert_plain(dir / "hf", dir / "native");
  expect_error(ErrorKind::kInput, {"model.layers.2.self_attn.o_proj.weight", "infinite"},
               [&] { convert_plain(dir / "native", dir / "fp8", to_fp8); });
  EXPECT_FALSE(fs::exists(dir / "fp8"));
  expect_clean(dir);
}

}  // namespace
}  // namespace rialto::convert
