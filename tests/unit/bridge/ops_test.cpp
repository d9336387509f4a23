// Rows to pieces: HF names and shapes that follow from the native side, for every combination of options.
#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "tests/unit/bridge/toy_rows.h"

namespace rialto::bridge {
namespace {

const TensorInfo& hf_named(const Map& map, std::string_view name) {
  for (const TensorInfo& tensor : map.hf)
    if (tensor.name == name) return tensor;
  throw std::out_of_range(std::string(name));
}

TEST(Ops, ShapesFollowFromTheNativeSide) {
  const Map map = make_map(test::toy_model({.qkv_bias = true, .qk_norm = true}), test::kToyRows);
  EXPECT_EQ(hf_named(map, "model.layers.3.self_attn.q_proj.weight").shape, (Shape{32, 24}));
  EXPECT_EQ(hf_named(map, "model.layers.3.self_attn.k_proj.weight").shape, (Shape{16, 24}));
  EXPECT_EQ(hf_named(map, "model.layers.0.self_attn.v_proj.bias").shape, (Shape{16}));
  EXPECT_EQ(hf_named(map, "model.layers.0.mlp.up_proj.weight").shape, (Shape{20, 24}));
  EXPECT_EQ(hf_named(map, "model.layers.0.self_attn.o_proj.weight").shape, (Shape{24, 32}));
  EXPECT_EQ(hf_named(map, "model.layers.0.self_attn.q_norm.weight").shape, (Shape{8}));
  EXPECT_EQ(map.hf.size(), 1u + 4 * 14 + 2);
}

TEST(Ops, EveryCombinationIsComplete) {
  for (const bool tied : {false, true})
    for (const bool bias : {false, true})
      for (const bool norm : {false, true}) {
        const spec::ModelSpec model = test::toy_model({.tied = tied, .qkv_bias = bias, .qk_norm = norm});
        const Map map = make_map(model, test::kToyRows);
        EXPECT_NO_THROW(prove_complete(map));
        EXPECT_EQ(map.native.size(), spec::param_table(model).size());
        EXPECT_EQ(map.optional.size(), tied ? 1u : 0u);
      }
}

TEST(Ops, QkvGoesHeadByHead) {
  const Map map = make_map(test::toy_model({.layers = 1}), test::kToyRows);
  for (const Piece& piece : map.pieces) {
    if (map.hf[piece.hf.tensor].name != "model.layers.0.self_attn.v_proj.weight") continue;
    EXPECT_EQ(piece.native.lo, (Shape{0, 3, 0, 0}));  // after two query heads and the key head of each group
    EXPECT_EQ(piece.native.hi, (Shape{2, 4, 8, 24}));
  }
}

TEST(Ops, AParameterWithoutARowIsOurMistake) {
  try {
    make_map(test::toy_moe(), test::kToyRows);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal);
    EXPECT_NE(std::string(error.what()).find("pre_mlp_layernorm"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace rialto::bridge
