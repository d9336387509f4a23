// A map against a source's tensors: dtypes, tied heads, ignored tensors, and complaints that list everything at once.
#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "tests/unit/bridge/toy_rows.h"

namespace rialto::bridge {
namespace {

constexpr IgnoredRow kIgnored[] = {{"model.layers.{l}.self_attn.rotary_emb.inv_freq", "recomputed"}};

std::string complaint(Map map, const std::vector<SourceTensor>& source) {
  try {
    match_source(map, source, kIgnored);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "";
}

TEST(Match, SetsDtypesWithoutRounding) {
  Map map = make_map(test::toy_model({.layers = 1}), test::kToyRows);
  std::vector<SourceTensor> source = test::source_of(map);
  for (SourceTensor& tensor : source) {
    tensor.dtype = tensor.name.ends_with("norm.weight") ? DType::kF32 : DType::kBF16;
    if (tensor.name.ends_with("k_proj.weight")) tensor.dtype = DType::kF32;
    if (tensor.name.ends_with("gate_proj.weight")) tensor.dtype = DType::kF16;
  }
  match_source(map, source, kIgnored);
  for (const TensorInfo& tensor : map.native) {
    const bool wide = tensor.name.ends_with("norm_weight") || tensor.name.ends_with("layernorm.weight") ||
                      tensor.name.ends_with("linear_qkv.weight") || tensor.name.ends_with("linear_fc1.weight");
    EXPECT_EQ(tensor.dtype, wide ? DType::kF32 : DType::kBF16) << tensor.name;
  }
}

TEST(Match, APinnedTypeStays) {
  Map map = make_map(test::toy_model({.layers = 1}), test::kToyRows);
  map.native[0].pinned = true;
  map.native[0].dtype = DType::kF32;
  match_source(map, test::source_of(map), kIgnored);
  EXPECT_EQ(map.native[0].dtype, DType::kF32);
}

TEST(Match, TiedHeadBecomesACopy) {
  Map map = make_map(test::toy_model({.tied = true}), test::kToyRows);
  std::vector<SourceTensor> source = test::source_of(map);
  EXPECT_EQ(complaint(map, source), "");
  source.push_back({"lm_head.weight", {50, 24}, DType::kBF16});
  match_source(map, source, kIgnored);
  EXPECT_EQ(map.pieces.back().relation, Relation::kCopies);
  EXPECT_EQ(map.hf.back().name, "lm_head.weight");
  EXPECT_NO_THROW(prove_complete(map));
  source.back().shape = {49, 24};
  EXPECT_NE(complaint(make_map(test::toy_model({.tied = true}), test::kToyRows), source)
                .find("lm_head.weight (49, 24) instead of (50, 24)"),
            std::string::npos);
}

TEST(Match, IgnoredTensorsAreSetAside) {
  Map map = make_map(test::toy_model(), test::kToyRows);
  std::vector<SourceTensor> source = test::source_of(map);
  source.push_back({"model.layers.2.self_attn.rotary_emb.inv_freq", {4}, DType::kF32});
  match_source(map, source, kIgnored);
  ASSERT_EQ(map.ignored.size(), 1u);
  EXPECT_EQ(map.ignored[0].reason, "recomputed");
}

TEST(Match, EveryMisfitIsNamed) {
  const Map map = make_map(test::toy_model(), test::kToyRows);
  for (size_t i = 0; i < map.hf.size(); ++i) {
    std::vector<SourceTensor> source = test::source_of(map);
    const std::string name = source[i].name;
    source[i].name += "x";
    std::string said = complaint(map, source);
    EXPECT_NE(said.find("1 missing: " + name), std::string::npos) << said;
    EXPECT_NE(said.find("1 extra: " + name + "x"), std::string::npos) << said;
    source[i].name = name;
    source[i].shape.back() += 1;
    EXPECT_NE(complaint(map, source).find(name + " "), std::string::npos);
    source = test::source_of(map);
    source.push_back(source[i]);
    EXPECT_NE(complaint(map, source).find("1 twice: " + name), std::string::npos);
    source.pop_back();
    source[i].dtype = DType::kF8E4M3;
    EXPECT_NE(complaint(map, source).find(name + " F8_E4M3"), std::string::npos);
    source.erase(source.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_NE(complaint(map, source).find("1 missing"), std::string::npos);
  }
}

TEST(Match, LongListsAreCut) {
  const Map map = make_map(test::toy_model(), test::kToyRows);
  const std::string said = complaint(map, {});
  EXPECT_NE(said.find(std::to_string(map.hf.size()) + " missing: "), std::string::npos) << said;
  EXPECT_NE(said.find(", ..."), std::string::npos);
  EXPECT_EQ(said.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace rialto::bridge
