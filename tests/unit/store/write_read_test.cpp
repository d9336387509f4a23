// What is written is read back; every file is where Megatron looks for it.
#include <map>
#include <set>

#include "rialto/base/hash.h"
#include "rialto/formats/torch_zip.h"
#include "tests/unit/store/toy.h"

namespace rialto::store {
namespace {

TEST(WriteRead, EveryParameterAndItsAliases) {
  const TempDir root;
  const fs::path dir = write_toy(root, 1);
  expect_toy(dir);
  const CheckpointReader reader(dir, CheckpointReader::Verify::kHashes);
  EXPECT_TRUE(reader.has_manifest());
  EXPECT_EQ(reader.iteration(), 1);
  EXPECT_EQ(reader.facts()["true_vocab"], 11);
  EXPECT_EQ(reader.shape("decoder.layers.mlp.linear_fc1.weight"), (Shape{3, 20, 8}));
  EXPECT_EQ(reader.dtype("embedding.word_embeddings.weight"), DType::kBF16);
}

TEST(WriteRead, AliasesOfAChunkNameItsBytes) {
  const TempDir root;
  const spec::ModelSpec model = toy_model();
  CheckpointWriter writer(real_file_ops(), root, 1);
  const std::vector<std::byte> bytes(6, std::byte{7});
  writer.add_chunk(
      {.key = "own", .aliases = {"other", "third"}, .dtype = DType::kBF16, .shape = {3}, .offsets = {0}, .sizes = {3}},
      [&](const ByteSink& sink) { sink(bytes); });
  fill_and_commit(writer, model, 1);
  const CheckpointReader reader(root / "iter_0000001");
  for (const char* key : {"own", "other", "third"}) {
    ASSERT_TRUE(reader.has_tensor(key)) << key;
    std::vector<std::byte> got(6);
    reader.read(key, {0}, {3}, got);
    EXPECT_EQ(got, bytes) << key;
  }
}

TEST(WriteRead, FilesThatMegatronLooksFor) {
  const TempDir root;
  const fs::path dir = write_toy(root, 12);
  for (const char* name : {".metadata", "__0_0.distcp", "common.pt", "metadata.json", "train_state.pt",
                           "run_config.yaml", "manifest.json"})
    EXPECT_TRUE(fs::exists(dir / name)) << name;
  EXPECT_EQ(dir.filename(), "iter_0000012");
  EXPECT_EQ(read_text_file(root / "latest_checkpointed_iteration.txt"), "12");
  EXPECT_TRUE(fs::exists(root / "latest_train_state.pt"));
  EXPECT_EQ(read_text_file(root / "latest_train_state.pt"), read_text_file(dir / "train_state.pt"));
  EXPECT_EQ(parse_json(read_text_file(dir / "metadata.json"), "")["sharded_backend"], "torch_dist");
  for (const auto& entry : fs::recursive_directory_iterator(root))
    EXPECT_EQ(entry.path().filename().string().find(".tmp"), std::string::npos) << entry.path();
}

TEST(WriteRead, ManifestListsEveryFileAndHash) {
  const TempDir root;
  const fs::path dir = write_toy(root, 1);
  const std::string text = read_text_file(dir / "manifest.json");
  const Json manifest = parse_json(text, "manifest");
  std::set<std::string> listed;
  for (const Json& file : manifest["files"]) {
    listed.insert(file["path"].get<std::string>());
    const std::string bytes = read_text_file(dir / file["path"].get<std::string>());
    EXPECT_EQ(file["size"], bytes.size());
    EXPECT_EQ(file["xxh3_128"], hash_hex(std::as_bytes(std::span(bytes)))) << file["path"];
  }
  for (const auto& entry : fs::recursive_directory_iterator(dir))
    if (entry.is_regular_file() && entry.path().filename() != "manifest.json") {
      EXPECT_TRUE(listed.contains(entry.path().lexically_relative(dir).generic_string())) << entry.path();
    }
  EXPECT_EQ(manifest["chunks"].size(), spec::param_table(toy_model()).size());
  const size_t last = text.rfind("\"self\"");
  EXPECT_EQ(manifest["self"], hash_hex(std::as_bytes(std::span(text).first(last))));
}

TEST(WriteRead, ChunksAreAlignedArchivesOfTorch) {
  const TempDir root;
  const fs::path dir = write_toy(root, 1);
  const CheckpointReader reader(dir);
  const ReadFile file(dir / "__0_0.distcp");
  for (const auto& [key, tensor] : reader.metadata().tensors)
    for (const formats::DcpChunk& chunk : tensor.chunks) {
      EXPECT_EQ(chunk.span.offset % 64, 0u);
      const formats::StoredTensor stored = formats::locate_tensor(file, chunk.span.offset, chunk.span.length);
      EXPECT_EQ(stored.offset % 64, 0u);
      EXPECT_EQ(stored.shape, chunk.sizes);
      // The CRC of the elements is right, though they were streamed.
      std::vector<std::byte> bytes(stored.size);
      file.read_at(stored.offset, bytes);
      uint32_t crc = 0;
      for (const formats::ZipRecord& record : formats::read_zip_directory(file, chunk.span.offset, chunk.span.length))
        if (record.name == "data/0") crc = record.crc;
      EXPECT_EQ(crc, crc32(0, bytes));
    }
}

TEST(WriteRead, ExtraStatesAreOneStoredObject) {
  const TempDir root;
  const CheckpointReader reader(write_toy(root, 1));
  const auto states = spec::extra_state_table(toy_model());
  std::set<std::pair<std::string, uint64_t>> places;
  for (const spec::ExtraState& state : states) {
    const auto found = reader.metadata().objects.find(state.full_key());
    ASSERT_NE(found, reader.metadata().objects.end()) << state.full_key();
    places.insert({found->second.file, found->second.offset});
  }
  EXPECT_EQ(places.size(), 1u);
  EXPECT_EQ(reader.metadata().objects.size(), states.size());
  EXPECT_GT(reader.read_object(states[0].full_key()).size(), 100u);
}

TEST(WriteRead, TrainStateSurvivesExactly) {
  const TempDir root;
  const CheckpointReader reader(write_toy(root, 1));
  const auto state = reader.train_state();
  ASSERT_TRUE(state);
  EXPECT_EQ(state->step, 1);
  EXPECT_EQ(state->consumed_train_samples, 3'000'000'000);
  EXPECT_EQ(state->floating_point_operations_so_far, 1e18 / 3);
}

TEST(WriteRead, CommonStateHasWhatMegatronReads) {
  const TempDir root;
  const CheckpointReader reader(write_toy(root, 1));
  const formats::PicklePtr common = reader.common();
  ASSERT_NE(common->get("checkpoint_version"), nullptr);
  EXPECT_EQ(common->get("checkpoint_version")->number, 3.0);
  ASSERT_NE(common->get("args"), nullptr);
  EXPECT_EQ(common->get("args")->class_name(), "argparse.Namespace");
  EXPECT_TRUE(common->get("args")->state->get("no_save_rng")->boolean);
  EXPECT_NE(common->get("content_metadata"), nullptr);
}

TEST(WriteRead, BoxesAcrossChunks) {
  const TempDir root;
  const CheckpointReader reader(write_toy(root, 1));
  // Layers 1 and 2, rows 5..14, columns 2..7 of the stacked fc1.
  std::vector<std::byte> got(2 * 10 * 6 * 2), want;
  reader.read("decoder.layers.mlp.linear_fc1.weight", {1, 5, 2}, {2, 10, 6}, got);
  for (const spec::Param& param : spec::param_table(toy_model()))
    if (param.name.ends_with("mlp.linear_fc1.weight") && param.layer >= 1) {
      const std::vector<std::byte> bytes = bytes_for(param, 2);
      for (size_t row = 5; row < 15; ++row)
        want.insert(want.end(), bytes.begin() + static_cast<std::ptrdiff_t>((row * 8 + 2) * 2),
                    bytes.begin() + static_cast<std::ptrdiff_t>((row * 8 + 8) * 2));
    }
  EXPECT_EQ(got, want);
  expect_error(ErrorKind::kShape, {"linear_fc1"},
               [&] { reader.read("decoder.layers.mlp.linear_fc1.weight", {2, 0, 0}, {2, 1, 1}, got); });
  expect_error(ErrorKind::kInput, {"no tensor 'nothing'"}, [&] { reader.read("nothing", {0}, {1}, got); });
}

TEST(WriteRead, ParametersInParts) {
  const TempDir root;
  const CheckpointReader reader(write_toy(root, 1));
  const spec::Param param = spec::param_table(toy_model()).front();
  const std::vector<std::byte> want = bytes_for(param, 2);
  std::vector<std::byte> got(want.size());
  for (size_t at = 0; at < got.size(); at += 14)
    reader.read_param(param, "", at, std::span(got).subspan(at, std::min<size_t>(14, got.size() - at)));
  EXPECT_EQ(got, want);
}

TEST(WriteRead, SameCheckpointSameBytes) {
  const TempDir a, b;
  const fs::path first = write_toy(a, 1), second = write_toy(b, 1);
  for (const auto& entry : fs::recursive_directory_iterator(first))
    if (entry.is_regular_file()) {
      EXPECT_EQ(read_text_file(entry.path()), read_text_file(second / entry.path().lexically_relative(first)))
          << entry.path();
    }
}

TEST(WriteRead, NoPathOfThisMachineInside) {
  const TempDir root;
  const fs::path dir = write_toy(root, 1);
  const std::string name = fs::path(root).filename().string();
  for (const auto& entry : fs::recursive_directory_iterator(dir))
    if (entry.is_regular_file()) {
      EXPECT_EQ(read_text_file(entry.path()).find(name), std::string::npos) << entry.path();
    }
}

TEST(WriteRead, AliasesAndObjectsOfTheOptimizerGoToTheirFile) {
  const TempDir root;
  const spec::ModelSpec model = toy_model();
  CheckpointWriter writer(real_file_ops(), root, 1);
  const spec::Param param = spec::param_table(model).front();
  const ChunkSpec chunk = chunk_of(param, DType::kF32, "optimizer.state.param.");
  writer.add_chunk(chunk, [&](const ByteSink& sink) { sink(bytes_for(param, 4)); });
  writer.add_alias(chunk, "optimizer.state.fp32_param." + param.disk.key);
  fill_and_commit(writer, model, 1);
  const CheckpointReader reader(root / "iter_0000001");
  std::vector<std::byte> got(bytes_for(param, 4).size());
  reader.read_param(param, "optimizer.state.fp32_param.", 0, got);
  EXPECT_EQ(got, bytes_for(param, 4));
  EXPECT_EQ(reader.metadata().tensors.at(chunk.key).chunks[0].span.file, "__0_1.distcp");
}

TEST(WriteRead, WrongCountsAreOurMistake) {
  const TempDir root;
  CheckpointWriter writer(real_file_ops(), root, 1);
  const spec::Param param = spec::param_table(toy_model()).front();
  expect_error(ErrorKind::kInternal, {param.disk.key}, [&] {
    writer.add_chunk(chunk_of(param, DType::kBF16), [&](const ByteSink& sink) { sink(bytes_for(param, 4)); });
  });
  expect_error(ErrorKind::kInternal, {"x", "not stored"},
               [&] { writer.add_alias(chunk_of(param, DType::kF32, "never."), "x"); });
}

TEST(WriteRead, RefusesAnIterationThatIsThere) {
  const TempDir root;
  write_toy(root, 1);
  expect_error(ErrorKind::kConfig, {"iter_0000001"}, [&] { CheckpointWriter(real_file_ops(), root, 1); });
  write_toy(root, 1, 5, real_file_ops(), true);
  expect_toy(root / "iter_0000001", 5);
}

TEST(WriteRead, AbandonedWritersLeaveNothing) {
  const TempDir root;
  {
    CheckpointWriter writer(real_file_ops(), root / "sub", 1);
  }
  EXPECT_TRUE(fs::is_empty(root / "sub"));
}

}  // namespace
}  // namespace rialto::store
