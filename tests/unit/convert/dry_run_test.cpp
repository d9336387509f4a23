// --dry-run says what it proved: shapes and names, or names only where shards are absent.
#include "tests/unit/convert/toy.h"

namespace rialto::convert {
namespace {

void dry(ConvertOptions& options) { options.dry_run = true; }

TEST(DryRun, SaysThatShapesAreProven) {
  const TempDir dir;
  write_toy_hf(dir / "hf", false, 3);
  const ConvertReport report = convert_plain(dir / "hf", dir / "native", dry);
  EXPECT_EQ(to_json(report)["proved"], "shapes and names");
  EXPECT_NE(to_text(report).find("proved shapes and names"), std::string::npos);
  convert_plain(dir / "hf", dir / "native");
  EXPECT_EQ(to_json(convert_plain(dir / "native", dir / "back", dry))["proved"], "shapes and names");
  EXPECT_FALSE(fs::exists(dir / "back"));
}

TEST(DryRun, AnIndexAloneProvesNames) {
  const TempDir dir;
  const Json config = toy_config();
  write_hf(dir / "hf", config, toy_tensors(config), 3);
  const uint64_t tensors = convert_plain(dir / "hf", dir / "native", dry).num_tensors_in;
  fs::remove(dir / "hf/model-00002-of-00003.safetensors");
  for (const bool some : {true, false}) {
    if (!some)
      for (const char* shard : {"model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"})
        fs::remove(dir / "hf" / shard);
    const ConvertReport report = convert_plain(dir / "hf", dir / "native", dry);
    EXPECT_EQ(to_json(report)["proved"], "names only");
    EXPECT_NE(to_text(report).find("proved names only"), std::string::npos);
    EXPECT_EQ(report.num_tensors_in, tensors);
    ASSERT_FALSE(report.notices.empty());
    EXPECT_NE(report.notices.back().find("from the index only"), std::string::npos);
  }
  expect_error(ErrorKind::kInput, {"is missing"}, [&] { convert_plain(dir / "hf", dir / "native"); });
  EXPECT_FALSE(fs::exists(dir / "native"));
}

/// Writes three shards, changes the index, removes the first shard.
void expect_named(const std::function<void(Json& weight_map)>& change, const std::vector<std::string>& words) {
  const TempDir dir;
  const Json config = toy_config();
  write_hf(dir / "hf", config, toy_tensors(config), 3);
  for (const int shard : {1, 2, 3})
    fs::remove(dir / ("hf/model-0000" + std::to_string(shard) + "-of-00003.safetensors"));
  Json index = read_json_file(dir / "hf/model.safetensors.index.json");
  change(index["weight_map"]);
  write_text(dir / "hf/model.safetensors.index.json", index.dump());
  if (words.empty()) return (void)convert_plain(dir / "hf", dir / "native", dry);
  expect_error(ErrorKind::kInput, words, [&] { convert_plain(dir / "hf", dir / "native", dry); });
}

TEST(DryRun, NamesThatDoNotFitAreNamed) {
  const std::string name = "model.layers.1.mlp.up_proj.weight", file = "model-00001-of-00003.safetensors";
  expect_named([&](Json& map) { map.erase(name); }, {"missing", name});
  expect_named([&](Json& map) { map["model.layers.9.own"] = file; }, {"extra", "model.layers.9.own"});
  // codes and scales are one tensor; of packed ones the scales must be named
  expect_named([&](Json& map) { map[name + "_scale_inv"] = file; }, {});
  const auto pack = [&](Json& map) {
    map.erase(name);
    for (const char* member : {"_packed", "_scale", "_shape"}) map[name + member] = file;
  };
  expect_named(pack, {});
  expect_named(
      [&](Json& map) {
        pack(map);
        map.erase(name + "_scale");
      },
      {"without their scales", name});
}

TEST(DryRun, HeadersThatAreThereAreStillHeldAgainstTheModel) {
  const TempDir dir;
  const Json config = toy_config();
  std::vector<ToyTensor> tensors = toy_tensors(config);
  tensors[0].shape = {38, 16};  // in the first shard
  tensors[0].bytes.resize(38 * 16 * 2);
  write_hf(dir / "hf", config, tensors, 3);
  fs::remove(dir / "hf/model-00002-of-00003.safetensors");
  expect_error(ErrorKind::kInput, {"of another shape", tensors[0].name},
               [&] { convert_plain(dir / "hf", dir / "native", dry); });
}

}  // namespace
}  // namespace rialto::convert
