// Damage is named: the tensor where there is one, else the file.
#include <random>

#include "rialto/base/hash.h"
#include "rialto/base/json.h"
#include "tests/unit/store/toy.h"

namespace rialto::store {
namespace {

using Verify = CheckpointReader::Verify;

/// Where the elements of the first parameter of `name` lie.
uint64_t offset_of(const fs::path& dir, const std::string& key) {
  const Json manifest = read_json_file(dir / "manifest.json");
  for (const Json& chunk : manifest["chunks"])
    if (chunk["key"] == key) return chunk["offset"].get<uint64_t>();
  return 0;
}

TEST(Damage, FlippedWeightIsNamedOnRead) {
  const TempDir root;
  const fs::path dir = write_toy(root, 1);
  flip_byte(dir / "__0_0.distcp", offset_of(dir, "decoder.layers.mlp.linear_fc2.weight") + 3);
  const CheckpointReader reader(dir);  // sizes are right
  for (const spec::Param& param : spec::param_table(toy_model())) {
    std::vector<std::byte> bytes(static_cast<size_t>(num_elements(param.shape)) * 2);
    if (param.name == "decoder.layers.0.mlp.linear_fc2.weight")
      expect_error(ErrorKind::kInput, {"decoder.layers.mlp.linear_fc2.weight", "__0_0.distcp", "hash"},
                   [&] { reader.read_param(param, "", 0, bytes); });
    else
      reader.read_param(param, "", 0, bytes);
  }
  expect_error(ErrorKind::kInput, {"decoder.layers.mlp.linear_fc2.weight", "__0_0.distcp"},
               [&] { CheckpointReader(dir, Verify::kHashes); });
}

TEST(Damage, EveryFileIsCovered) {
  const TempDir root;
  const fs::path dir = write_toy(root, 1);
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(dir))
    if (entry.is_regular_file()) files.push_back(entry.path());
  EXPECT_GE(files.size(), 8u);
  for (const fs::path& path : files) {
    const std::string bytes = read_text_file(path);
    for (const size_t at : {size_t{0}, bytes.size() / 2, bytes.size() - 1}) {
      flip_byte(path, at);
      expect_error(ErrorKind::kInput, {path.filename().string()}, [&] { CheckpointReader(dir, Verify::kHashes); });
      flip_byte(path, at);
    }
    fs::resize_file(path, bytes.size() - 1);
    expect_error(ErrorKind::kInput, {path.filename().string()}, [&] { CheckpointReader{dir}; });
    real_file_ops().create(path)->write(std::as_bytes(std::span(bytes)));
    fs::rename(path, path.string() + ".gone");
    if (path.filename() != "manifest.json")
      expect_error(ErrorKind::kInput, {path.filename() == ".metadata" ? ".metadata" : path.filename().string()},
                   [&] { CheckpointReader{dir}; });
    fs::rename(path.string() + ".gone", path);
  }
  CheckpointReader(dir, Verify::kHashes);
}

TEST(Damage, RandomBytesInMetadataNeverGetThroughSilently) {
  const TempDir root;
  const fs::path dir = write_toy(root, 1);
  fs::remove(dir / "manifest.json");  // only the parser stands in the way
  const std::string good = read_text_file(dir / ".metadata");
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    std::string bad = good;
    bad[random() % bad.size()] = static_cast<char>(random());
    real_file_ops().create(dir / ".metadata")->write(std::as_bytes(std::span(bad)));
    try {
      const CheckpointReader reader(dir);
      for (const spec::Param& param : spec::param_table(toy_model())) {
        std::vector<std::byte> bytes(static_cast<size_t>(num_elements(param.shape)) * 2);
        reader.read_param(param, "", 0, bytes);
      }
    } catch (const Error& error) {
      EXPECT_TRUE(error.kind() == ErrorKind::kInput || error.kind() == ErrorKind::kShape) << error.what();
    }
  }
}

TEST(Damage, AnEditedManifestIsNoticedByItsOwnHash) {
  const TempDir root;
  const fs::path path = write_toy(root, 1) / "manifest.json";
  std::string text = read_text_file(path);  // a fact, which nothing else checks
  const size_t at = text.find("\"true_vocab\":");
  ASSERT_NE(at, std::string::npos);
  text[text.find("11", at)] = '2';
  real_file_ops().create(path)->write(std::as_bytes(std::span(text)));
  expect_error(ErrorKind::kInput, {"manifest.json", "own hash"}, [&] { CheckpointReader{path.parent_path()}; });
}

TEST(Damage, ManifestOfAnotherVersion) {
  const TempDir root;
  const fs::path dir = write_toy(root, 1);
  const std::string text = "{\n\"format\": \"rialto-manifest\",\n\"version\": 9,\n";
  const std::string self = hash_hex(std::as_bytes(std::span(text)));
  const std::string whole = text + "\"self\": \"" + self + "\"}\n";
  real_file_ops().create(dir / "manifest.json")->write(std::as_bytes(std::span(whole)));
  expect_error(ErrorKind::kInput, {"manifest version", "9"}, [&] { CheckpointReader{dir}; });
}

TEST(Damage, NotACheckpoint) {
  const TempDir root;
  expect_error(ErrorKind::kInput, {".metadata"}, [&] { CheckpointReader{root}; });
}

}  // namespace
}  // namespace rialto::store
