// Hugging Face -> native -> Hugging Face: every byte of every file.
#include "tests/unit/convert/toy.h"

namespace rialto::convert {
namespace {

TEST(RoundTrip, SingleFileShardedAndTied) {
  for (const bool tied : {false, true})
    for (const size_t shards : {1, 3}) {
      const TempDir dir;
      write_toy_hf(dir / "hf", tied, shards);
      const ConvertReport there = convert_plain(dir / "hf", dir / "native");
      EXPECT_EQ(there.from, "hf");
      EXPECT_EQ(there.family, "llama");
      EXPECT_EQ(there.rounded_values, 0u);
      EXPECT_EQ(read_text_file(dir / "native/latest_checkpointed_iteration.txt"), "1");
      const ConvertReport back = convert_plain(dir / "native", dir / "back");
      EXPECT_EQ(back.to, "hf");
      expect_same_folder(dir / "hf", dir / "back", {"model.safetensors.index.json"});
      if (shards > 1) {
        Json before = read_json_file(dir / "hf/model.safetensors.index.json"),
             after = read_json_file(dir / "back/model.safetensors.index.json");
        EXPECT_EQ(before["metadata"], after["metadata"]);
        for (const auto& [name, file] : before["weight_map"].items()) EXPECT_EQ(after["weight_map"][name], file);
        EXPECT_EQ(before["weight_map"].size(), after["weight_map"].size());
      }
      expect_clean(dir);
    }
}

TEST(RoundTrip, EveryFloatingDtypeAndMixed) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    const TempDir dir;
    Json config = toy_config();
    config["torch_dtype"] = torch_name(dtype);
    std::vector<ToyTensor> tensors = toy_tensors(config, dtype);
    // One layer's norm and one projection are wider: the stack is stored in the wider type, nothing is rounded.
    for (ToyTensor& tensor : tensors)
      if (tensor.name == "model.layers.1.input_layernorm.weight" ||
          tensor.name == "model.layers.2.self_attn.k_proj.weight") {
        tensor.dtype = DType::kF32;
        tensor.bytes = random_bytes(tensor.name, DType::kF32, tensor.shape);
      }
    write_hf(dir / "hf", config, tensors);
    EXPECT_EQ(convert_plain(dir / "hf", dir / "native").rounded_values, 0u);
    EXPECT_EQ(convert_plain(dir / "native", dir / "back").rounded_values, 0u);
    expect_same_folder(dir / "hf", dir / "back");
  }
}

TEST(RoundTrip, CarriedHeadAndRecomputedTensorsComeBack) {
  const TempDir dir;
  const Json config = toy_config(true);
  std::vector<ToyTensor> tensors = toy_tensors(config);
  ToyTensor head = tensors.front();
  head.name = "lm_head.weight";
  tensors.push_back(head);
  tensors.push_back(
      {"model.layers.0.self_attn.rotary_emb.inv_freq", DType::kF32, {2}, random_bytes("f", DType::kF32, {2})});
  write_hf(dir / "hf", config, tensors, 2);
  EXPECT_EQ(convert_plain(dir / "hf", dir / "native").ignored.size(), 1u);
  convert_plain(dir / "native", dir / "back");
  expect_same_folder(dir / "hf", dir / "back", {"model.safetensors.index.json"});
  // A head that is not the embedding contradicts the config.
  tensors[tensors.size() - 2].bytes[5] = static_cast<char>(tensors[tensors.size() - 2].bytes[5] ^ 1);
  write_hf(dir / "bad", config, tensors, 2);
  expect_error(ErrorKind::kInput, {"lm_head.weight", "model.embed_tokens.weight"},
               [&] { convert_plain(dir / "bad", dir / "native2"); });
  EXPECT_FALSE(fs::exists(dir / "native2"));
  expect_clean(dir);
}

TEST(RoundTrip, CastsAreCountedAndNamedInTheConfig) {
  const TempDir dir;
  Json config = toy_config();
  config["torch_dtype"] = "float32";
  write_hf(dir / "hf", config, toy_tensors(config, DType::kF32));
  const ConvertReport there =
      convert_plain(dir / "hf", dir / "native", [](ConvertOptions& o) { o.dtype = DType::kBF16; });
  EXPECT_GT(there.rounded_values, 1000u);
  const ConvertReport back = convert_plain(dir / "native", dir / "back");
  EXPECT_EQ(back.rounded_values, 0u);
  EXPECT_EQ(read_json_file(dir / "back/config.json")["torch_dtype"], "bfloat16");
  // And on the way out; fp32 holds bf16 exactly.
  EXPECT_EQ(
      convert_plain(dir / "native", dir / "wide", [](ConvertOptions& o) { o.dtype = DType::kF32; }).rounded_values, 0u);
  EXPECT_EQ(read_json_file(dir / "wide/config.json")["torch_dtype"], "float32");
  Json expected = config;
  expected["torch_dtype"] = "float32";
  EXPECT_EQ(read_json_file(dir / "wide/config.json"), expected);  // every other key as it was
  expect_error(ErrorKind::kConfig, {"--dtype"},
               [&] { convert_plain(dir / "native", dir / "x", [](ConvertOptions& o) { o.dtype = DType::kI32; }); });
}

TEST(RoundTrip, DryRunWritesNothing) {
  const TempDir dir;
  write_toy_hf(dir / "hf");
  const ConvertReport report = convert_plain(dir / "hf", dir / "native", [](ConvertOptions& o) { o.dry_run = true; });
  EXPECT_GT(report.num_pieces, 20u);
  EXPECT_FALSE(fs::exists(dir / "native"));
  convert_plain(dir / "hf", dir / "native");
  convert_plain(dir / "native", dir / "back", [](ConvertOptions& o) { o.dry_run = true; });
  EXPECT_FALSE(fs::exists(dir / "back"));
}

TEST(RoundTrip, SameInputSameBytes) {
  const TempDir dir;
  write_toy_hf(dir / "hf");
  convert_plain(dir / "hf", dir / "a");
  convert_plain(dir / "hf", dir / "b");
  expect_same_folder(dir / "a", dir / "b");
}

TEST(RoundTrip, ReportsSpeakBothLanguages) {
  const TempDir dir;
  write_toy_hf(dir / "hf");
  const ConvertReport report = convert_plain(dir / "hf", dir / "native");
  EXPECT_EQ(to_json(report)["to"], "megatron");
  EXPECT_EQ(to_json(report)["parameters"], report.parameters);
  EXPECT_NE(to_text(report).find("LlamaForCausalLM"), std::string::npos);
}

}  // namespace
}  // namespace rialto::convert
