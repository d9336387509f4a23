// Stages, ranks and the boxes that ranks hold: together they tile the model, whatever the layout.
#include <algorithm>

#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "tests/unit/spec/toy_models.h"

namespace rialto::spec {
namespace {

TEST(Layout, CoordinatesRoundTrip) {
  const Layout layout{.tp = 2, .cp = 3, .dp = 2, .pp = 2};
  for (int rank = 0; rank < layout.world(); ++rank) EXPECT_EQ(rank_of(layout, coords_of(layout, rank)), rank);
  EXPECT_EQ(coords_of(layout, 1).tp, 1);
  EXPECT_EQ(coords_of(layout, 2).cp, 1);
  EXPECT_EQ(coords_of(layout, 6).dp, 1);
  EXPECT_EQ(coords_of(layout, 12).pp, 1);
  EXPECT_THROW(coords_of(layout, layout.world()), Error);
}

TEST(Layout, StagesSplitLayersEvenly) {
  const Layout layout{.pp = 2, .vpp = 2};
  const StageRange first = stage_range(8, layout, 0), last = stage_range(8, layout, 1, 1);
  EXPECT_TRUE(first.embedding && !first.head && first.first == 0 && first.last == 2);
  EXPECT_TRUE(!last.embedding && last.head && last.first == 6 && last.last == 8);
  EXPECT_EQ(stage_range(8, layout, 0, 1).first, 4);
  EXPECT_THROW(stage_range(6, layout, 0), Error);
  const Layout uneven{.pp = 2, .vpp = 2, .stage_layers = {0, 3, 2, 1}};
  EXPECT_EQ(stage_range(6, uneven, 0).last, 0);
  EXPECT_EQ(stage_range(6, uneven, 1).first, 0);
  EXPECT_EQ(stage_range(6, uneven, 1).last, 3);
  EXPECT_EQ(stage_range(6, uneven, 0, 1).first, 3);
  EXPECT_EQ(stage_range(6, uneven, 1, 1).first, 5);
  EXPECT_TRUE(stage_range(6, uneven, 1, 1).head);
  EXPECT_THROW(stage_range(7, uneven, 0), Error) << "not the model's layers";
}

/// How many ranks of a data-parallel replica hold each element of the parameter's view.
std::vector<int> coverage(const Param& param, const ModelSpec& model, const Layout& layout) {
  std::vector<int> count(static_cast<size_t>(num_elements(param.view)), 0);
  for (int rank = 0; rank < layout.world(); ++rank) {
    const std::optional<Extent> box = rank_box(param, model, layout, coords_of(layout, rank));
    if (!box) continue;
    for (int64_t element = 0; element < num_elements(param.view); ++element) {
      int64_t rest = element;
      bool inside = true;
      for (size_t axis = param.view.size(); axis-- > 0; rest /= param.view[axis]) {
        const int64_t index = rest % param.view[axis];
        inside = inside && box->lo[axis] <= index && index < box->hi[axis];
      }
      if (inside) ++count[static_cast<size_t>(element)];
    }
  }
  return count;
}

class Tiling : public testing::TestWithParam<bool> {};

TEST_P(Tiling, BoxesOfTp2Pp2TileTheModel) {
  const ModelSpec model = test::toy_model({.tied = GetParam(), .qkv_bias = true, .qk_norm = true});
  const Layout layout{.tp = 2, .pp = 2};
  for (const Param& param : param_table(model, layout)) {
    const int copies = (param.tp_axis ? 1 : 2) * (param.tied_head ? 2 : 1);
    for (const int count : coverage(param, model, layout)) ASSERT_EQ(count, copies) << param.name;
  }
}
INSTANTIATE_TEST_SUITE_P(TiedOrNot, Tiling, testing::Bool());

TEST(Placement, NeighboursShareAKeyHead) {
  const ModelSpec model = test::toy_model({.qkv_bias = true});
  const int groups = static_cast<int>(std::get<Attention>(model.layers[0].mixer).num_groups), tp = 3 * groups;
  EXPECT_EQ(key_copies(model, tp), 3);
  EXPECT_EQ(key_copies(model, groups), 1);
  for (const Param& param : param_table(model)) {
    if (!param.by_key_head) continue;
    for (int rank = 0; rank < tp; ++rank) {
      const Extent box = *rank_box(param, model, {.tp = tp}, {.tp = rank});
      EXPECT_EQ(box.lo[0], rank / 3) << param.name;
      EXPECT_EQ(box.hi[0], rank / 3 + 1) << param.name;
    }
  }
}

TEST(Placement, ExpertsSpreadOverTheirOwnGrid) {
  const ModelSpec model = test::toy_moe(2, 4);
  const Layout layout{.tp = 2, .dp = 2, .ep = 4};
  for (const Param& param : param_table(model, layout)) {
    if (param.expert < 0) continue;
    for (const int count : coverage(param, model, layout)) ASSERT_EQ(count, 1) << param.name;
  }
}

TEST(Placement, TiedEmbeddingIsOnBothEnds) {
  const ModelSpec model = test::toy_model({.tied = true});
  EXPECT_EQ(stages_of(param_table(model).front(), model, {.pp = 4}), (std::vector<int>{0, 3}));
  const auto stages_of_layers = [&](const Layout& layout) {
    std::vector<int> stages(model.layers.size());
    for (const Param& param : param_table(model, layout))
      if (param.layer >= 0) stages[static_cast<size_t>(param.layer)] = stages_of(param, model, layout).at(0);
    return stages;
  };
  const auto count = static_cast<int64_t>(model.layers.size());
  std::vector<int> uneven(model.layers.size(), 2);
  uneven[0] = 0;
  EXPECT_EQ(stages_of_layers({.pp = 3, .stage_layers = {1, 0, count - 1}}), uneven);
  EXPECT_EQ(stages_of(param_table(model).front(), model, {}), (std::vector<int>{0}));
}

TEST(Placement, UnevenSplitNamesTheParameter) {
  const ModelSpec model = test::toy_model();
  const std::vector<Param> params = param_table(model);
  const auto qkv = std::ranges::find_if(params, [](const Param& p) { return p.name.ends_with("linear_qkv.weight"); });
  try {
    rank_box(*qkv, model, {.tp = 7}, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kShape);
    EXPECT_NE(std::string(error.what()).find("linear_qkv.weight"), std::string::npos);
  }
}

TEST(Placement, AVocabularyNeedNotDivide) {
  const ModelSpec model = test::toy_model();
  const Param param = param_table(model).front();  // 50 rows
  std::vector<std::pair<int64_t, int64_t>> rows;
  for (int tp = 0; tp < 4; ++tp) {
    const Extent box = rank_box(param, model, {.tp = 4}, {.tp = tp}).value();
    rows.emplace_back(box.lo[0], box.hi[0]);
  }
  EXPECT_EQ(rows, (std::vector<std::pair<int64_t, int64_t>>{{0, 13}, {13, 26}, {26, 39}, {39, 50}}));
}

}  // namespace
}  // namespace rialto::spec
