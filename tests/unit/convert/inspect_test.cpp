// What inspect tells, and that --hash looks at every byte.
#include "tests/unit/convert/toy.h"

namespace rialto::convert {
namespace {

TEST(Inspect, HuggingFace) {
  const TempDir dir;
  write_toy_hf(dir / "hf", false, 2);
  const Json report = inspect(dir / "hf", false, nullptr);
  EXPECT_EQ(report["kind"], "hf");
  EXPECT_EQ(report["family"], "llama");
  EXPECT_EQ(report["architecture"], "LlamaForCausalLM");
  EXPECT_EQ(report["shards"].size(), 2u);
  EXPECT_TRUE(report["dtypes"].contains("bfloat16"));
  EXPECT_FALSE(report["shards"][0].contains("xxh3_128"));
  EXPECT_TRUE(inspect(dir / "hf", true, nullptr)["shards"][0].contains("xxh3_128"));
  EXPECT_NE(inspect_to_text(report).find("llama"), std::string::npos);
}

TEST(Inspect, Native) {
  const TempDir dir;
  write_toy_hf(dir / "hf");
  const ConvertReport made = convert_plain(dir / "hf", dir / "native");
  const Json report = inspect(dir / "native", true, nullptr);
  EXPECT_EQ(report["kind"], "megatron");
  EXPECT_EQ(report["iteration"], 1);
  EXPECT_EQ(report["parameters"], made.parameters);
  EXPECT_EQ(report["hashes"], "recomputed and equal");
  EXPECT_EQ(report["training"]["step"], 1);
  EXPECT_EQ(report["facts"]["true_vocab"], 37);
  bool recorded = false;
  for (const Json& shard : report["shards"])
    recorded = recorded || (shard["file"] == "__0_0.distcp" && shard.contains("xxh3_128"));
  EXPECT_TRUE(recorded);
  flip_byte(dir / "native/iter_0000001/__0_0.distcp", 3000);
  inspect(dir / "native", false, nullptr);
  expect_error(ErrorKind::kInput, {"__0_0.distcp"}, [&] { inspect(dir / "native", true, nullptr); });
}

TEST(Inspect, ForeignSaysThatNothingCanBeChecked) {
  const TempDir dir;
  write_toy_hf(dir / "hf");
  convert_plain(dir / "hf", dir / "native");
  fs::remove(dir / "native/iter_0000001/manifest.json");
  fs::remove_all(dir / "native/iter_0000001/rialto_source");
  const Json report = inspect(dir / "native", false, nullptr);
  EXPECT_EQ(report["manifest"], false);
  EXPECT_EQ(report["family"], "llama");
  EXPECT_NE(report["notices"].dump().find("no manifest"), std::string::npos);
}

TEST(Inspect, UnknownModelsAreShownToo) {
  const TempDir dir;
  Json config = toy_config();
  const auto tensors = toy_tensors(config);
  config["architectures"] = {"SomethingElse"};
  write_hf(dir / "hf", config, tensors);
  const Json report = inspect(dir / "hf", false, nullptr);
  EXPECT_TRUE(report["family"].is_null());
  EXPECT_FALSE(report["notices"].empty());
  EXPECT_NE(inspect_to_text(report).find("SomethingElse"), std::string::npos);
  expect_error(ErrorKind::kInput, {"neither"}, [&] { inspect(dir, false, nullptr); });
}

}  // namespace
}  // namespace rialto::convert
