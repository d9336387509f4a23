// Native checkpoints without rialto_source/: config from run_config.yaml, or everything from --like.
#include "rialto/hub/hf_directory.h"
#include "tests/unit/convert/toy.h"

namespace rialto::convert {
namespace {

/// A native copy of the toy as another program would leave it.
void make_foreign(const fs::path& root, bool run_config = true) {
  const fs::path iter = root / "iter_0000001";
  fs::remove(iter / "manifest.json");
  fs::remove_all(iter / "rialto_source");
  if (!run_config) fs::remove(iter / "run_config.yaml");
}

TEST(Foreign, ConfigFromRunConfig) {
  const TempDir dir;
  write_toy_hf(dir / "hf");
  convert_plain(dir / "hf", dir / "native");
  make_foreign(dir / "native");
  const ConvertReport report = convert_plain(dir / "native", dir / "back");
  EXPECT_FALSE(report.notices.empty());
  const VerifyReport same = verify({dir / "hf", dir / "back", {}, {}}, nullptr);
  for (const Difference& difference : same.differences)
    EXPECT_EQ(difference.kind, "config") << difference.tensor << " " << difference.detail;
  EXPECT_EQ(read_json_file(dir / "back/config.json")["hidden_size"], 16);
  EXPECT_TRUE(fs::exists(dir / "back/model.safetensors"));
  EXPECT_TRUE(verify({dir / "hf", dir / "native", {}, {}}, nullptr).differences.empty());
}

TEST(Foreign, LikeGivesEverythingBack) {
  const TempDir dir;
  write_toy_hf(dir / "hf", false, 2);
  convert_plain(dir / "hf", dir / "native");
  make_foreign(dir / "native", false);
  expect_error(ErrorKind::kInput, {"--like"}, [&] { convert_plain(dir / "native", dir / "back"); });
  convert_plain(dir / "native", dir / "back", [&](ConvertOptions& o) { o.like = dir / "hf"; });
  expect_same_folder(dir / "hf", dir / "back", {"model.safetensors.index.json"});
}

TEST(Foreign, LikeWithoutWeights) {
  const TempDir dir;
  write_toy_hf(dir / "hf");
  convert_plain(dir / "hf", dir / "native");
  make_foreign(dir / "native", false);
  fs::copy(dir / "hf", dir / "like");
  fs::remove(dir / "like/model.safetensors");
  convert_plain(dir / "native", dir / "back", [&](ConvertOptions& o) { o.like = dir / "like"; });
  EXPECT_EQ(read_text_file(dir / "back/config.json"), read_text_file(dir / "hf/config.json"));
  EXPECT_EQ(read_text_file(dir / "back/tokenizer.json"), read_text_file(dir / "hf/tokenizer.json"));
  EXPECT_TRUE(verify({dir / "hf", dir / "back", {}, {}}, nullptr).differences.empty());
}

TEST(Foreign, LikeOfAnotherShape) {
  const TempDir dir;
  write_toy_hf(dir / "hf");
  convert_plain(dir / "hf", dir / "native");
  Json config = toy_config();
  config["hidden_size"] = 24;
  write_hf(dir / "like", config, toy_tensors(config));
  try {
    convert_plain(dir / "native", dir / "back", [&](ConvertOptions& o) { o.like = dir / "like"; });
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(exit_code(error.kind()), 3);
    EXPECT_NE(std::string(error.what()).find("embedding.word_embeddings.weight"), std::string::npos) << error.what();
  }
}

/// A checkpoint of the toy whose embedding and head have 128 rows, 37 of them true.
void write_padded(const fs::path& root, std::byte fill) {
  const resolve::Resolved resolved = resolve::model_from_hf(toy_config(), "toy");
  store::CheckpointWriter writer(real_file_ops(), root, 1);
  for (const spec::Param& param : spec::param_table(resolved.model)) {
    store::ChunkSpec chunk = store::chunk_of(param, DType::kBF16);
    const bool vocabulary = param.shape[0] == 37 && param.shape.size() == 2;
    if (vocabulary) chunk.shape[0] = chunk.sizes[0] = 128;
    writer.add_chunk(chunk, [&](const store::ByteSink& sink) {
      sink(store::bytes_for(param, 2));
      if (vocabulary) sink(std::vector<std::byte>((128 - 37) * 16 * 2, fill));
    });
  }
  writer.add_file("run_config.yaml", resolve::run_config_from_model(resolved.model));
  writer.commit(store::make_common(resolved.model, 1), {});
}

TEST(Foreign, PaddedVocabularyIsCutAndSaid) {
  const TempDir dir;
  write_padded(dir / "native", std::byte{1});
  make_foreign(dir / "native");
  const ConvertReport report = convert_plain(dir / "native", dir / "back");
  EXPECT_NE(to_json(report)["notices"].dump().find("rows 37 to 127 of 'output_layer.weight' are padding"),
            std::string::npos)
      << to_json(report)["notices"];
  EXPECT_TRUE(verify({dir / "native", dir / "back", {}, {}}, nullptr).differences.empty());
  EXPECT_EQ(hub::HfDirectory(dir / "back").tensors().at("lm_head.weight").entry.shape, (Shape{37, 16}));
}

TEST(Foreign, TokensAddedLaterAreNotCutByAnOlderConfig) {
  const TempDir dir;
  Json grown = toy_config();
  grown["vocab_size"] = 40;
  write_hf(dir / "grown", grown, toy_tensors(grown));
  convert_plain(dir / "grown", dir / "native");
  write_toy_hf(dir / "like");
  for (const bool foreign : {false, true}) {  // the manifest says it, then run_config.yaml
    if (foreign) make_foreign(dir / "native");
    for (const bool dry : {true, false})
      expect_error(ErrorKind::kShape, {"word_embeddings.weight", "37 of 40 rows", "vocab_size 40"}, [&] {
        convert_plain(dir / "native", dir / "back", [&](ConvertOptions& options) {
          options.like = dir / "like";
          options.dry_run = dry;
        });
      });
    EXPECT_FALSE(fs::exists(dir / "back"));
  }
}

}  // namespace
}  // namespace rialto::convert
