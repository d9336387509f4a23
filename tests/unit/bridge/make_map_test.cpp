// Which row a parameter has: prefixes of prediction blocks, alternatives, repeated tensors, blocks that files lack.
#include <algorithm>

#include <gmock/gmock.h>

#include "rialto/base/error.h"
#include "tests/unit/bridge/variant_rows.h"

namespace rialto::bridge {
namespace {

using testing::Contains;
using testing::IsSupersetOf;
using testing::Not;

static_assert(flaw_of(std::span<const ParamRow>(test::kDeepRows)).empty());
static_assert(flaw_of(std::span<const ParamRow>(test::kSinkRows)).empty());

std::vector<std::string> hf_names(const Map& map) {
  std::vector<std::string> names;
  for (const TensorInfo& tensor : map.hf) names.push_back(tensor.name);
  return names;
}

SourceTensor named(std::string name) { return {std::move(name), {}, DType::kBF16}; }

TEST(MakeMap, PredictionBlocksHaveTheLayersRowsBehindTheLastLayer) {
  const Map map = make_map(test::with_mtp(test::toy_mla(3, 4)), test::kDeepRows);
  EXPECT_NO_THROW(prove_complete(map));
  EXPECT_THAT(hf_names(map),
              IsSupersetOf({"model.layers.3.enorm.weight", "model.layers.4.shared_head.norm.weight",
                            "model.layers.3.self_attn.q_a_proj.weight", "model.layers.4.mlp.experts.3.up_proj.weight",
                            "model.layers.4.mlp.moe_statics.bias"}));
  const Map dense = make_map(test::with_mtp(test::toy_mla(1)), test::kDeepRows);
  EXPECT_THAT(hf_names(dense), Contains("model.layers.2.mlp.gate_proj.weight"));
}

TEST(MakeMap, OneNameMayServeEitherOfTwoParameters) {
  const Map map = make_map(test::toy_mla(2, 4), test::kDeepRows);
  for (const auto& [layer, native] : {std::pair(0, "decoder.layers.0.mlp.linear_fc1.layer_norm_weight"),
                                      {1, "decoder.layers.1.pre_mlp_layernorm.weight"}}) {
    const std::string hf = "model.layers." + std::to_string(layer) + ".post_attention_layernorm.weight";
    const auto piece = std::find_if(map.pieces.begin(), map.pieces.end(),
                                    [&](const Piece& p) { return map.hf[p.hf.tensor].name == hf; });
    ASSERT_NE(piece, map.pieces.end());
    EXPECT_EQ(map.native[piece->native.tensor].name, native);
  }
}

TEST(MakeMap, TheSourcesTensorsChooseAmongAlternatives) {
  const spec::ModelSpec model = test::with_mtp(test::toy_mla(3, 4), 1);
  const std::string apart = "model.layers.1.mlp.experts.2.gate_proj.weight";
  const std::string packed = "model.layers.1.mlp.experts.gate_up_proj";
  const std::string packed_mtp = "model.layers.3.mlp.experts.gate_up_proj";
  EXPECT_THAT(hf_names(make_map(model, test::kDeepRows)), Contains(apart));
  // Decided layer by layer: the trunk's experts may be packed and the block's not, or the other way round.
  const SourceTensor trunk[] = {named(packed)}, block[] = {named(packed_mtp)};
  const std::vector<std::string> one = hf_names(make_map(model, test::kDeepRows, trunk));
  EXPECT_THAT(one, Contains(packed));
  EXPECT_THAT(one, Not(Contains(apart)));
  EXPECT_THAT(one, Contains("model.layers.3.mlp.experts.2.gate_proj.weight"));
  const std::vector<std::string> other = hf_names(make_map(model, test::kDeepRows, block));
  EXPECT_THAT(other, Contains(packed_mtp));
  EXPECT_THAT(other, Contains(apart));
  // What the source has of neither is reported as missing under the first row's name.
  const SourceTensor nothing[] = {named("lm_head.weight")};
  EXPECT_EQ(hf_names(make_map(model, test::kDeepRows, nothing)), hf_names(make_map(model, test::kDeepRows)));
}

TEST(MakeMap, CopiesOfEmbeddingAndHeadAreTakenWhereTheFileHasThem) {
  Map map = make_map(test::with_mtp(test::toy_mla(2, 4)), test::kDeepRows);
  std::vector<std::string> optional;
  for (const OptionalCopy& copy : map.optional) optional.push_back(copy.hf);
  EXPECT_THAT(optional, testing::UnorderedElementsAre(
                            "model.layers.2.embed_tokens.weight", "model.layers.3.embed_tokens.weight",
                            "model.layers.2.shared_head.head.weight", "model.layers.3.shared_head.head.weight"));
  std::vector<SourceTensor> source = test::source_of(map);
  source.push_back({"model.layers.3.shared_head.head.weight", {50, 24}, DType::kBF16});
  match_source(map, source, {});
  EXPECT_EQ(map.hf.back().name, "model.layers.3.shared_head.head.weight");
  EXPECT_EQ(map.pieces.back().relation, Relation::kCopies);
  EXPECT_EQ(map.native[map.pieces.back().native.tensor].name, "output_layer.weight");
  EXPECT_NO_THROW(prove_complete(map));
}

TEST(MakeMap, CopiesOfPublishedFilesAreWrittenWhereNoFileSaysOtherwise) {
  Map map = make_map(test::with_mtp(test::toy_mla(2, 4)), test::kDeepRows);
  const size_t own = map.hf.size();
  add_written_copies(map);
  std::vector<std::string> copies;
  for (size_t i = own; i < map.hf.size(); ++i) copies.push_back(map.hf[i].name);
  EXPECT_THAT(copies, testing::UnorderedElementsAre(
                          "model.layers.2.embed_tokens.weight", "model.layers.3.embed_tokens.weight",
                          "model.layers.2.shared_head.head.weight", "model.layers.3.shared_head.head.weight"));
  EXPECT_TRUE(map.optional.empty());
  EXPECT_NO_THROW(prove_complete(map));
  for (const Piece& piece : map.pieces) {
    if (piece.hf.tensor < own) continue;
    EXPECT_EQ(piece.relation, Relation::kCopies);
    EXPECT_EQ(map.native[piece.native.tensor].name, map.hf[piece.hf.tensor].name.ends_with("head.weight")
                                                        ? "output_layer.weight"
                                                        : "embedding.word_embeddings.weight");
  }
  // A tied head is a repetition that published files may lack.
  Map tied = make_map(test::toy_model({.tied = true}), test::kToyRows);
  const size_t all = tied.hf.size();
  ASSERT_EQ(tied.optional.size(), 1u);
  add_written_copies(tied);
  EXPECT_EQ(tied.hf.size(), all);
  EXPECT_TRUE(tied.optional.empty());
}

TEST(MakeMap, BlocksThatTheFilesLackAreDropped) {
  const auto left = [](std::initializer_list<const char*> names) {
    spec::ModelSpec model = test::with_mtp(test::toy_mla(2, 4));
    std::vector<SourceTensor> source;
    for (const char* name : names) source.push_back(named(name));
    drop_absent_mtp(model, test::kDeepRows, source);
    return model.mtp.size();
  };
  EXPECT_EQ(left({"lm_head.weight"}), 0u);
  EXPECT_EQ(left({"model.layers.2.eh_proj.weight"}), 1u);
  EXPECT_EQ(left({"model.layers.3.eh_proj.weight"}), 2u);  // the first is then missing, and that is said
  // Rows may name the only block by its number.
  spec::ModelSpec model = test::with_mtp(test::toy_mla(2, 4), 1);
  const ParamRow rows[] = {{"mtp.fc.weight", "mtp.layers.0.eh_proj.weight"}};
  drop_absent_mtp(model, rows, std::vector<SourceTensor>{named("mtp.fc.weight")});
  EXPECT_EQ(model.mtp.size(), 1u);
  drop_absent_mtp(model, rows, std::vector<SourceTensor>{named("lm_head.weight")});
  EXPECT_EQ(model.mtp.size(), 0u);
}

TEST(MakeMap, AMissingExpertLeavesAHoleInThePackedTensor) {
  Map map = make_map(test::toy_sinks(1, 4), test::kSinkRows);
  const auto last = std::find_if(map.pieces.rbegin(), map.pieces.rend(),
                                 [&](const Piece& p) { return map.hf[p.hf.tensor].name == "layers.0.gate_up"; });
  ASSERT_NE(last, map.pieces.rend());
  map.pieces.erase(std::next(last).base());
  try {
    prove_complete(map);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("[layers.0.gate_up]"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("(3, 0, 0, 0)"), std::string::npos) << error.what();
  }
}

TEST(MakeMap, AnOpThatDoesNotFitIsOurMistake) {
  for (const Op op : {Op::kQkv, Op::kFusedQkv, Op::kGateUp, Op::kSwapHalves, Op::kPacked, Op::kRowVector}) {
    std::vector<ParamRow> rows(std::begin(test::kToyRows), std::end(test::kToyRows));
    rows[0].op = op;  // the embedding
    EXPECT_THROW(make_map(test::toy_model(), rows), Error) << static_cast<int>(op);
  }
}

}  // namespace
}  // namespace rialto::bridge
