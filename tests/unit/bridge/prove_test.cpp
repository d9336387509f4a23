// The proof accepts complete maps and refuses every damaged one, naming the element.
#include <chrono>

#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "tests/unit/bridge/toy_rows.h"

namespace rialto::bridge {
namespace {

std::string complaint(const Map& map) {
  try {
    prove_complete(map);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kShape);
    return error.what();
  }
  return "";
}

/// Is every element covered once? Counted one by one.
bool covered_once(const TensorInfo& tensor, const std::vector<Box>& boxes) {
  for (int64_t element = 0; element < num_elements(tensor.view); ++element) {
    int count = 0;
    for (const Box& box : boxes) {
      int64_t rest = element;
      bool inside = true;
      for (size_t axis = tensor.view.size(); axis-- > 0; rest /= tensor.view[axis])
        inside = inside && box.lo[axis] <= rest % tensor.view[axis] && rest % tensor.view[axis] < box.hi[axis];
      count += inside;
    }
    if (count != 1) return false;
  }
  return true;
}

TEST(Prove, RandomMapsAreComplete) {
  std::mt19937 random(1);
  for (int round = 0; round < 500; ++round) EXPECT_EQ(complaint(test::random_map(random, true, true)), "");
}

TEST(Prove, AgreesWithCountingOnRandomBoxes) {
  // Boxes that overlap and leave gaps at random: the proof and the count must agree each time.
  std::mt19937 random(2);
  const auto draw = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  int complete = 0;
  for (int round = 0; round < 3000; ++round) {
    Map map = test::random_map(random, false, false);
    if (draw(0, 2) > 0) {
      Box& box = map.pieces[static_cast<size_t>(draw(0, static_cast<int64_t>(map.pieces.size()) - 1))].native;
      for (size_t axis = 0; axis < box.lo.size(); ++axis) {
        const int64_t shift = draw(-1, 1);
        if (box.lo[axis] + shift < 0 || box.hi[axis] + shift > map.native[0].view[axis]) continue;
        box.lo[axis] += shift;
        box.hi[axis] += shift;
      }
    }
    std::vector<Box> boxes;
    for (const Piece& piece : map.pieces) boxes.push_back(piece.native);
    const bool want = covered_once(map.native[0], boxes);
    EXPECT_EQ(complaint(map) == "", want);
    complete += want;
  }
  EXPECT_GT(complete, 500);
  EXPECT_LT(complete, 2500);
}

TEST(Prove, DroppedDoubledAndShiftedPiecesFail) {
  const Map good = make_map(test::toy_model({.layers = 2, .qkv_bias = true}), test::kToyRows);
  ASSERT_EQ(complaint(good), "");
  for (size_t i = 0; i < good.pieces.size(); ++i) {
    Map map = good;
    map.pieces.erase(map.pieces.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_NE(complaint(map).find("not covered"), std::string::npos);
    map = good;
    map.pieces.push_back(good.pieces[i]);
    EXPECT_NE(complaint(map).find("covered 2 times"), std::string::npos);
    for (size_t axis = 0; axis < good.pieces[i].native.lo.size(); ++axis) {
      map = good;
      ++map.pieces[i].native.lo[axis];
      ++map.pieces[i].native.hi[axis];
      EXPECT_NE(complaint(map), "");
      map = good;
      --map.pieces[i].native.hi[axis];
      EXPECT_NE(complaint(map), "");
    }
  }
}

TEST(Prove, NamesTheFirstElementThatIsWrong) {
  Map map;
  map.native.push_back({"n", {4, 6}, {4, 6}});
  map.hf.push_back({"a", {4, 3}, {4, 3}});
  map.hf.push_back({"b", {4, 3}, {4, 3}});
  map.pieces.push_back({.hf = {0, {0, 0}, {4, 3}}, .native = {0, {0, 0}, {4, 3}}});
  map.pieces.push_back({.hf = {1, {0, 0}, {4, 3}}, .native = {0, {0, 2}, {4, 5}}});
  EXPECT_NE(complaint(map).find("covered 2 times at element (0, 2)"), std::string::npos) << complaint(map);
  map.pieces[1].native = {0, {0, 3}, {4, 6}};
  EXPECT_EQ(complaint(map), "");
  map.pieces[1].relation = Relation::kCopies;
  EXPECT_NE(complaint(map).find("not covered by any piece at element (0, 3)"), std::string::npos) << complaint(map);
}

TEST(Prove, MalformedMapsAreRefused) {
  const auto with = [](auto change) {
    Map map = make_map(test::toy_model({.layers = 1}), test::kToyRows);
    change(map);
    return complaint(map);
  };
  EXPECT_NE(with([](Map& m) { m.hf[1].name = m.hf[0].name; }).find("twice"), std::string::npos);
  EXPECT_NE(with([](Map& m) { m.native[0].shape[0] += 1; }).find("factor"), std::string::npos);
  EXPECT_NE(with([](Map& m) { m.native[2].view = {4, 2, 8, 24}; }), "");
  EXPECT_NE(with([](Map& m) { m.pieces[0].native.tensor = 1000; }), "");
  EXPECT_NE(with([](Map& m) { m.pieces[0].hf.lo[0] = -1; }), "");
  EXPECT_NE(with([](Map& m) { m.pieces[0].hf.lo = m.pieces[0].hf.hi; }), "");
  EXPECT_NE(with([](Map& m) { m.pieces[0].axes = {0, 0}; }), "");
  EXPECT_NE(with([](Map& m) { m.pieces[0].axes = {0}; }), "");
  EXPECT_NE(with([](Map& m) { m.pieces[0].axes = {1, 0}; }), "");
  EXPECT_NE(with([](Map& m) { m.pieces[0].relation = Relation::kFill; }), "");
  EXPECT_NE(with([](Map& m) { m.pieces[0].hf.hi.pop_back(); }), "");
}

TEST(Prove, AxesOfASquareAreChecked) {
  Map map;
  map.native.push_back({"n", {4, 4}, {4, 4}});
  map.hf.push_back({"a", {4, 4}, {4, 4}});
  map.pieces.push_back({.hf = {0, {0, 0}, {4, 4}}, .native = {0, {0, 0}, {4, 4}}, .axes = {1, 0}});
  EXPECT_EQ(complaint(map), "");
  map.pieces[0].axes = {0, 0};
  EXPECT_NE(complaint(map).find("permutation"), std::string::npos);
}

TEST(Prove, AnAxisWithoutACounterpartIsOneElementLong) {
  Map map;
  map.native.push_back({"n", {2, 3}, {2, 3}});
  map.hf.push_back({"a", {4, 3}, {4, 3}});
  map.hf.push_back({"b", {3}, {3}});
  // rows 0..3 of "a" are a fill but for row 1, which is the native row 0; "b" is row 1
  map.pieces.push_back({.hf = {0, {1, 0}, {2, 3}}, .native = {0, {0, 0}, {1, 3}}, .axes = {kNoAxis, 1}});
  map.pieces.push_back({.hf = {1, {0}, {3}}, .native = {0, {1, 0}, {2, 3}}, .axes = {kNoAxis, 0}});
  map.pieces.push_back({.hf = {0, {0, 0}, {1, 3}}, .native = {}, .relation = Relation::kFill});
  map.pieces.push_back({.hf = {0, {2, 0}, {4, 3}}, .native = {}, .relation = Relation::kFill});
  EXPECT_EQ(complaint(map), "");
  Map wide = map;
  wide.pieces[0].hf.hi[0] = 3;  // two HF rows for one native row
  EXPECT_NE(complaint(wide).find("another size"), std::string::npos);
  wide = map;
  wide.pieces[1].native.lo[0] = 0;  // two native rows for one HF vector
  EXPECT_NE(complaint(wide).find("another size"), std::string::npos);
  wide = map;
  wide.pieces[1].axes = {};
  EXPECT_NE(complaint(wide).find("permutation"), std::string::npos);
}

TEST(Prove, SizesOfAPieceAreComparedEvenWhereBothSidesAreTiled) {
  for (const auto& [native_rows, hf_rows] : {std::pair(1, 2), {2, 1}}) {
    Map map;
    map.native.push_back({"n", {3, 3}, {3, 3}});
    map.hf.push_back({"a", {hf_rows, 3}, {hf_rows, 3}});
    map.pieces.push_back({.hf = {0, {0, 0}, {hf_rows, 3}}, .native = {0, {0, 0}, {native_rows, 3}}});
    map.pieces.push_back({.hf = {}, .native = {0, {native_rows, 0}, {3, 3}}, .relation = Relation::kFill});
    EXPECT_NE(complaint(map).find("another size"), std::string::npos) << native_rows;
  }
}

TEST(Prove, TimeDoesNotGrowWithSizes) {
  // A million rows a piece and 20,000 pieces: counting would take for ever.
  Map map;
  const int64_t rows = 1'000'000, pieces = 20'000;
  map.native.push_back({"n", {pieces * rows, 4096}, {pieces * rows, 4096}});
  for (int64_t i = 0; i < pieces; ++i) {
    map.hf.push_back({"hf." + std::to_string(i), {rows, 4096}, {rows, 4096}});
    map.pieces.push_back(
        {.hf = {static_cast<uint32_t>(i), {0, 0}, {rows, 4096}}, .native = {0, {i * rows, 0}, {(i + 1) * rows, 4096}}});
  }
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(complaint(map), "");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

}  // namespace
}  // namespace rialto::bridge
