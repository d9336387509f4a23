// Checkpoints as other programs lay them out: chunked by rank, per layer or stacked, spelled locally, padded, without
// manifest.
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

TEST(Foreign, PaddedVocabularyRowsAreLeftOut) {
  const TempDir root;
  Foreign foreign(root);
  for (const spec::Param& param : spec::param_table(toy_model())) {
    ChunkSpec chunk = chunk_of(param, DType::kBF16);
    if (param.disk.key == "embedding.word_embeddings.weight") {
      chunk.shape[0] = chunk.sizes[0] = 16;
      foreign.writer().add_chunk(chunk, [&](const ByteSink& sink) {
        sink(bytes_for(param, 2));
        sink(std::vector<std::byte>(5 * 8 * 2));
      });
    } else {
      foreign.add_whole(param, chunk);
    }
  }
  expect_toy(foreign.commit());
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
