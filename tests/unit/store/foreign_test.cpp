// Checkpoints as other programs lay them out: chunked by rank, per layer or stacked, spelled locally, padded, without
// manifest.
#include <optional>

#include <fmt/format.h>

#include "tests/unit/store/toy.h"

namespace rialto::store {
namespace {

/// Writes parameters under other keys and in other chunks, then drops the manifest.
class Foreign {
 public:
  explicit Foreign(const fs::path& root) : root_(root), writer_(real_file_ops(), root, 1) {}
  CheckpointWriter& writer() { return writer_; }

  /// One chunk of a parameter: the box [at, at + sizes) of its logical shape.
  void add_box(const spec::Param& param, ChunkSpec whole, const Shape& at, const Shape& sizes) {
    const size_t axes = whole.shape.size() - param.shape.size();
    for (size_t axis = 0; axis < at.size(); ++axis) {
      whole.offsets[axes + axis] = at[axis];
      whole.sizes[axes + axis] = sizes[axis];
    }
    whole.aliases.clear();
    const std::vector<std::byte> bytes = bytes_for(param, 2);
    const int64_t columns = param.shape.size() == 2 ? param.shape[1] : 1;
    writer_.add_chunk(whole, [&](const ByteSink& sink) {
      for (int64_t row = at[0]; row < at[0] + sizes[0]; ++row) {
        const int64_t column = at.size() == 2 ? at[1] : 0, width = at.size() == 2 ? sizes[1] : 1;
        sink(std::span(bytes).subspan(static_cast<size_t>(row * columns + column) * 2, static_cast<size_t>(width) * 2));
      }
    });
  }
  void add_whole(const spec::Param& param, ChunkSpec chunk) {
    chunk.aliases.clear();
    writer_.add_chunk(chunk, [&](const ByteSink& sink) { sink(bytes_for(param, 2)); });
  }
  fs::path commit() {
    writer_.commit(make_common(toy_model(), 1), {});
    fs::remove(root_ / "iter_0000001" / kManifest);
    return root_ / "iter_0000001";
  }

 private:
  fs::path root_;
  CheckpointWriter writer_;
};

TEST(Foreign, GateAndUpAndColumnsInChunks) {
  const TempDir root;
  Foreign foreign(root);
  for (const spec::Param& param : spec::param_table(toy_model())) {
    const ChunkSpec whole = chunk_of(param, DType::kBF16);
    if (param.name.ends_with("linear_fc1.weight")) {
      for (const int64_t row : {0, 10, 5, 15})
        foreign.add_box(param, whole, {row, 0}, {5, 8});  // TP2: gate, up, gate, up
    } else if (param.name.ends_with("linear_proj.weight")) {
      for (const int64_t column : {0, 12}) foreign.add_box(param, whole, {0, column}, {8, 12});
    } else {
      foreign.add_whole(param, whole);
    }
  }
  const fs::path dir = foreign.commit();
  EXPECT_FALSE(CheckpointReader(dir).has_manifest());
  expect_toy(dir);
}

TEST(Foreign, PerLayerKeysForAStackedModelAndBack) {
  for (const bool per_layer : {false, true}) {
    const TempDir root;
    Foreign foreign(root);
    for (const spec::Param& param : spec::param_table(toy_model(per_layer)))
      foreign.add_whole(param, chunk_of(param, DType::kBF16));
    const CheckpointReader reader(foreign.commit());
    for (const spec::Param& param : spec::param_table(toy_model(!per_layer))) {
      std::vector<std::byte> bytes(static_cast<size_t>(num_elements(param.shape)) * 2);
      reader.read_param(param, "", 0, bytes);
      EXPECT_EQ(bytes, bytes_for(param, 2)) << param.name;
    }
  }
}

TEST(Foreign, LocalSpelling) {
  const TempDir root;
  Foreign foreign(root);
  for (const spec::Param& param : spec::param_table(toy_model())) {
    ChunkSpec chunk = chunk_of(param, DType::kBF16);
    if (param.disk.key == "decoder.layers.self_attention.linear_qkv.layer_norm_weight")
      chunk.key = "decoder.layers.input_layernorm.weight";
    if (param.disk.key == "decoder.layers.mlp.linear_fc1.layer_norm_weight")
      chunk.key = "decoder.layers.pre_mlp_layernorm.weight";
    foreign.add_whole(param, chunk);
  }
  expect_toy(foreign.commit());
}

/// The toy with 16 rows of vocabulary, 11 of them true; the others hold `fill`. `vocab_size`: what run_config.yaml
/// says.
fs::path write_padded(const fs::path& root, std::byte fill, std::optional<int64_t> vocab_size) {
  Foreign foreign(root);
  for (const spec::Param& param : spec::param_table(toy_model())) {
    ChunkSpec chunk = chunk_of(param, DType::kBF16);
    if (param.disk.key == "embedding.word_embeddings.weight") {
      chunk.shape[0] = chunk.sizes[0] = 16;
      foreign.writer().add_chunk(chunk, [&](const ByteSink& sink) {
        sink(bytes_for(param, 2));
        sink(std::vector<std::byte>(4 * 8 * 2));
        sink(std::vector<std::byte>(8 * 2, fill));  // the last row alone
      });
    } else {
      foreign.add_whole(param, chunk);
    }
  }
  if (vocab_size) foreign.writer().add_file("run_config.yaml", fmt::format("model:\n  vocab_size: {}\n", *vocab_size));
  return foreign.commit();
}

TEST(Foreign, PaddedVocabulary) {
  for (const std::optional<int64_t> vocab_size : {std::optional<int64_t>(), std::optional<int64_t>(11)}) {
    const TempDir root;
    expect_toy(write_padded(root, std::byte{0}, vocab_size));
  }
  const TempDir root;  // training moves the padded rows of a head
  expect_toy(write_padded(root, std::byte{1}, 11));
}

TEST(Foreign, RowsThatMayBeTokensAreNotCut) {
  const auto refused = [](std::optional<int64_t> vocab_size, const std::vector<std::string>& parts) {
    const TempDir root;
    const CheckpointReader reader(write_padded(root, std::byte{1}, vocab_size));
    const std::vector<spec::Param> params = spec::param_table(toy_model());
    expect_error(ErrorKind::kShape, parts, [&] { reader.find_key(params[0]); });
  };
  refused({}, {"embedding.word_embeddings.weight", "hold numbers", "11 of 16 rows", "vocab_size 16"});
  refused(14, {"embedding.word_embeddings.weight", "14 rows", "run_config.yaml:2", "vocab_size 14"});
}

TEST(Foreign, ManifestStatesTheTrueRows) {
  const TempDir root;
  spec::ModelSpec grown = toy_model();
  grown.vocab = 14;
  {
    CheckpointWriter writer(real_file_ops(), root, 1);
    for (const spec::Param& param : spec::param_table(grown))
      writer.add_chunk(chunk_of(param, DType::kBF16), [&](const ByteSink& sink) {
        sink(std::vector<std::byte>(static_cast<size_t>(num_elements(param.shape)) * 2));  // zeros are no proof here
      });
    writer.set_fact("true_vocab", grown.vocab);
    writer.commit(make_common(grown, 1), {});
  }
  const CheckpointReader reader(root / "iter_0000001");
  const std::vector<spec::Param> params = spec::param_table(toy_model());
  expect_error(ErrorKind::kShape, {"word_embeddings.weight", "14 rows", "true_vocab"},
               [&] { reader.find_key(params[0]); });
}

TEST(Foreign, OtherShapesAreRefused) {
  const TempDir root;
  Foreign foreign(root);
  const auto params = spec::param_table(toy_model());
  ChunkSpec chunk = chunk_of(params[2], DType::kBF16);
  std::swap(chunk.shape[1], chunk.shape[2]);
  std::swap(chunk.sizes[1], chunk.sizes[2]);
  for (int64_t layer = 0; layer < 3; ++layer) {
    chunk.offsets[0] = layer;
    foreign.add_whole(params[2], chunk);
  }
  const CheckpointReader reader(foreign.commit());
  expect_error(ErrorKind::kShape, {params[2].disk.key}, [&] { reader.find_key(params[2]); });
  expect_error(ErrorKind::kInput, {"embedding.word_embeddings.weight"}, [&] { reader.find_key(params[0]); });
}

}  // namespace
}  // namespace rialto::store
