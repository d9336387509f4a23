// The layouts of single families, element by element: what an HF tensor holds is computed here from the definition of
// the layout, with no box in sight; and whole models come back from it.
#include <cstring>

#include <gtest/gtest.h>

#include "tests/unit/bridge/variant_rows.h"

namespace rialto::bridge {
namespace {

using Values = std::vector<std::vector<float>>;

/// fp32 tensors as vectors of numbers.
ByteReader reader_of(const Values& values) {
  return [&values](uint32_t index, uint64_t begin, std::span<std::byte> out) {
    ASSERT_LE(begin + out.size(), values.at(index).size() * 4);
    std::memcpy(out.data(), reinterpret_cast<const std::byte*>(values[index].data()) + begin, out.size());
  };
}

Values produce(const Map& map, Direction direction, const Values& source, size_t buffer) {
  Executor executor(map, direction, reader_of(source), buffer);
  Values out;
  const auto& infos = direction == Direction::kToNative ? map.native : map.hf;
  for (uint32_t i = 0; i < infos.size(); ++i) {
    std::vector<std::byte> bytes;
    executor.produce(i, [&](std::span<const std::byte> part) { bytes.insert(bytes.end(), part.begin(), part.end()); });
    std::memcpy(out.emplace_back(bytes.size() / 4).data(), bytes.data(), bytes.size());
  }
  return out;
}

/// A map of fp32 tensors, its native side full of numbers that are all different, and the HF side made from them.
struct Layout {
  Layout(const spec::ModelSpec& model, std::span<const ParamRow> rows, std::span<const SourceTensor> source = {})
      : map(make_map(model, rows, source)) {
    for (auto* side : {&map.hf, &map.native})
      for (TensorInfo& tensor : *side) tensor.dtype = DType::kF32;
    float next = 1;
    for (const TensorInfo& tensor : map.native)
      for (float& value : native.emplace_back(static_cast<size_t>(num_elements(tensor.shape)))) value = next++;
    hf = produce(map, Direction::kToHf, native, 1 << 20);
  }

  static uint32_t find(const std::vector<TensorInfo>& tensors, std::string_view name) {
    for (uint32_t i = 0; i < tensors.size(); ++i)
      if (tensors[i].name == name) return i;
    throw std::out_of_range(std::string(name));
  }
  float in_hf(std::string_view name, const Shape& at) const { return element(map.hf, hf, name, at); }
  /// `at` in the factored view.
  float in_native(std::string_view name, const Shape& at) const { return element(map.native, native, name, at, true); }
  const Shape& hf_shape(std::string_view name) const { return map.hf[find(map.hf, name)].shape; }

  static float element(const std::vector<TensorInfo>& tensors, const Values& values, std::string_view name,
                       const Shape& at, bool in_view = false) {
    const uint32_t index = find(tensors, name);
    const Shape& sizes = in_view ? tensors[index].view : tensors[index].shape;
    if (sizes.size() != at.size()) throw std::invalid_argument(std::string(name));
    int64_t flat = 0;
    for (size_t axis = 0; axis < at.size(); ++axis) flat = flat * sizes[axis] + at[axis];
    return values[index].at(static_cast<size_t>(flat));
  }

  Map map;
  Values native, hf;
};

constexpr int64_t kHidden = 24, kHeads = 4, kGroups = 2, kHead = 8, kWidth = 12, kExperts = 4;

TEST(Layouts, FusedQkvHasAllQueriesThenKeysThenValues) {
  const Layout layout(test::toy_sinks(), test::kSinkRows);
  ASSERT_EQ(layout.hf_shape("layers.1.qkv.weight"), (Shape{(kHeads + 2 * kGroups) * kHead, kHidden}));
  ASSERT_EQ(layout.hf_shape("layers.1.qkv.bias"), (Shape{(kHeads + 2 * kGroups) * kHead}));
  const int64_t per_group = kHeads / kGroups;
  for (int64_t head = 0; head < kHeads + 2 * kGroups; ++head) {
    // Query head h is in group h / per_group; key and value heads are their group's.
    const int64_t group = head < kHeads ? head / per_group : (head - kHeads) % kGroups;
    const int64_t slot = head < kHeads ? head % per_group : per_group + (head - kHeads) / kGroups;
    for (const int64_t row : {0, 5})
      for (const int64_t column : {0, 23}) {
        EXPECT_EQ(layout.in_hf("layers.1.qkv.weight", {head * kHead + row, column}),
                  layout.in_native("decoder.layers.1.self_attention.linear_qkv.weight", {group, slot, row, column}));
        EXPECT_EQ(layout.in_hf("layers.1.qkv.bias", {head * kHead + row}),
                  layout.in_native("decoder.layers.1.self_attention.linear_qkv.bias", {group, slot, row}));
      }
  }
}

TEST(Layouts, ReversedExpertsAlternateGateAndUpInColumns) {
  const Layout layout(test::toy_sinks(), test::kSinkRows);
  ASSERT_EQ(layout.hf_shape("layers.0.gate_up"), (Shape{kExperts, kHidden, 2 * kWidth}));
  ASSERT_EQ(layout.hf_shape("layers.0.gate_up_bias"), (Shape{kExperts, 2 * kWidth}));
  ASSERT_EQ(layout.hf_shape("layers.0.down"), (Shape{kExperts, kWidth, kHidden}));
  ASSERT_EQ(layout.hf_shape("layers.0.down_bias"), (Shape{kExperts, kHidden}));
  const std::string experts = "decoder.layers.0.mlp.experts.";
  for (const int64_t e : {0, 3}) {
    const std::string number = std::to_string(e);
    for (const int64_t up : {0, 1})
      for (const int64_t f : {0, 7, 11}) {
        EXPECT_EQ(layout.in_hf("layers.0.gate_up_bias", {e, 2 * f + up}),
                  layout.in_native(experts + "linear_fc1.bias" + number, {up, f}));
        for (const int64_t h : {0, 9, 23})
          EXPECT_EQ(layout.in_hf("layers.0.gate_up", {e, h, 2 * f + up}),
                    layout.in_native(experts + "linear_fc1.weight" + number, {up, f, h}));
      }
    for (const int64_t h : {0, 9, 23}) {
      EXPECT_EQ(layout.in_hf("layers.0.down_bias", {e, h}),
                layout.in_native(experts + "linear_fc2.bias" + number, {h}));
      for (const int64_t f : {0, 7, 11})
        EXPECT_EQ(layout.in_hf("layers.0.down", {e, f, h}),
                  layout.in_native(experts + "linear_fc2.weight" + number, {h, f}));
    }
  }
}

TEST(Layouts, AlternatingExpertsTakeTurnsInRows) {
  std::vector<ParamRow> rows(std::begin(test::kSinkRows), std::end(test::kSinkRows));
  for (ParamRow& row : rows)
    if (row.hf == "layers.{l}.gate_up") row.op = Op::kPackedAlternating;
  const Layout layout(test::toy_sinks(), rows);
  ASSERT_EQ(layout.hf_shape("layers.1.gate_up"), (Shape{kExperts, 2 * kWidth, kHidden}));
  for (const int64_t e : {0, 3})
    for (const int64_t up : {0, 1})
      for (const int64_t f : {0, 7, 11})
        for (const int64_t h : {0, 23})
          EXPECT_EQ(layout.in_hf("layers.1.gate_up", {e, 2 * f + up, h}),
                    layout.in_native("decoder.layers.1.mlp.experts.linear_fc1.weight" + std::to_string(e), {up, f, h}));
}

std::vector<SourceTensor> names(std::initializer_list<const char*> list) {
  std::vector<SourceTensor> source;
  for (const char* name : list) source.push_back({name, {}, DType::kF32});
  return source;
}

TEST(Layouts, PackedExpertsStandOneBehindTheOther) {
  const auto source = names({"model.layers.1.mlp.experts.gate_up_proj", "model.layers.1.mlp.experts.down_proj"});
  const Layout layout(test::toy_mla(2, kExperts), test::kDeepRows, source);
  ASSERT_EQ(layout.hf_shape("model.layers.1.mlp.experts.gate_up_proj"), (Shape{kExperts, 2 * kWidth, kHidden}));
  ASSERT_EQ(layout.hf_shape("model.layers.1.mlp.experts.down_proj"), (Shape{kExperts, kHidden, kWidth}));
  for (const int64_t e : {0, 2})
    for (const int64_t h : {0, 23})
      for (const int64_t f : {0, 11}) {
        const std::string number = std::to_string(e);
        for (const int64_t up : {0, 1})
          EXPECT_EQ(layout.in_hf("model.layers.1.mlp.experts.gate_up_proj", {e, up * kWidth + f, h}),
                    layout.in_native("decoder.layers.1.mlp.experts.linear_fc1.weight" + number, {up, f, h}));
        EXPECT_EQ(layout.in_hf("model.layers.1.mlp.experts.down_proj", {e, h, f}),
                  layout.in_native("decoder.layers.1.mlp.experts.linear_fc2.weight" + number, {h, f}));
      }
}

TEST(Layouts, PackedByProjection) {
  const auto source = names({"model.layers.1.moe.gate_proj.weight", "model.layers.1.moe.up_proj.weight"});
  const Layout layout(test::toy_mla(2, kExperts), test::kDeepRows, source);
  ASSERT_EQ(layout.hf_shape("model.layers.1.moe.up_proj.weight"), (Shape{kExperts, kWidth, kHidden}));
  for (const int64_t e : {0, 3})
    for (const int64_t f : {0, 11})
      for (const int64_t h : {0, 23}) {
        const std::string native = "decoder.layers.1.mlp.experts.linear_fc1.weight" + std::to_string(e);
        EXPECT_EQ(layout.in_hf("model.layers.1.moe.gate_proj.weight", {e, f, h}), layout.in_native(native, {0, f, h}));
        EXPECT_EQ(layout.in_hf("model.layers.1.moe.up_proj.weight", {e, f, h}), layout.in_native(native, {1, f, h}));
      }
}

TEST(Layouts, SwappedHalvesAndRowVectors) {
  const Layout layout(test::with_mtp(test::toy_mla(2, kExperts)), test::kDeepRows);
  ASSERT_EQ(layout.hf_shape("model.layers.3.eh_proj.weight"), (Shape{kHidden, 2 * kHidden}));
  for (const int64_t column : {0, 23, 24, 47})
    EXPECT_EQ(layout.in_hf("model.layers.3.eh_proj.weight", {5, column}),
              layout.in_native("mtp.layers.1.eh_proj.weight", {5, column < kHidden ? 1 : 0, column % kHidden}));
  ASSERT_EQ(layout.hf_shape("model.layers.1.mlp.moe_statics.bias"), (Shape{1, kExperts}));
  EXPECT_EQ(layout.in_hf("model.layers.1.mlp.moe_statics.bias", {0, 2}),
            layout.in_native("decoder.layers.1.mlp.router.expert_bias", {2}));
}

TEST(Layouts, ModelsComeBackThroughEveryBuffer) {
  const auto packed = names({"model.layers.1.mlp.experts.gate_up_proj", "model.layers.2.mlp.experts.down_proj",
                             "model.layers.2.moe.gate_proj.weight", "model.layers.3.mlp.experts.gate_up_proj"});
  const Layout layouts[] = {{test::toy_sinks(), test::kSinkRows},
                            {test::with_mtp(test::toy_mla(3, kExperts)), test::kDeepRows},
                            {test::with_mtp(test::toy_mla(3, kExperts)), test::kDeepRows, packed}};
  for (const Layout& layout : layouts)
    for (const size_t buffer : {64, 200, 3000, 1 << 20}) {
      EXPECT_EQ(produce(layout.map, Direction::kToHf, layout.native, buffer), layout.hf);
      EXPECT_EQ(produce(layout.map, Direction::kToNative, layout.hf, buffer), layout.native);
    }
}

/// Bytes read per byte made.
double amplification(const Map& map, Direction direction) {
  double read = 0, made = 0;
  size_t requests = 0;
  Executor executor(map, direction, [&](uint32_t, uint64_t, std::span<std::byte> out) {
    read += static_cast<double>(out.size());
    ++requests;
  });
  const auto& infos = direction == Direction::kToNative ? map.native : map.hf;
  for (uint32_t i = 0; i < infos.size(); ++i) {
    executor.produce(i, [&](std::span<const std::byte> part) { made += static_cast<double>(part.size()); });
  }
  EXPECT_LT(requests, made / 500'000) << (direction == Direction::kToHf ? "to HF" : "to native");
  return read / made;
}

TEST(Layouts, PackedExpertsAreReadInLargeRequests) {
  spec::ModelSpec model = test::toy_sinks(1, 4);
  model.hidden = 2880;
  model.vocab = 1000;
  auto& moe = std::get<spec::MoeFfn>(model.layers[0].ffn);
  moe.expert_hidden = 2880;
  const Map map = make_map(model, test::kSinkRows);  // transposed: a box of one side is spread over the other's rows
  EXPECT_LT(amplification(map, Direction::kToNative), 4);
  EXPECT_LT(amplification(map, Direction::kToHf), 4);
}

}  // namespace
}  // namespace rialto::bridge
