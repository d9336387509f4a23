// Every registered family: its tables are sound, its rows cover a model of its kind, its names are those of the files.
#include <algorithm>
#include <set>

#include <gmock/gmock.h>

#include "rialto/bridge/plan.h"
#include "rialto/families/family.h"
#include "tests/unit/spec/toy_models.h"

namespace rialto::families {
namespace {

/// The families that are Llama with a part more or less; resolve's tests cover the others.
constexpr std::string_view kDense[] = {"llama", "mistral", "qwen2", "qwen3"};

/// A toy with the parts that the family's rows name.
spec::ModelSpec toy_of(const Family& family, bool tied) {
  test::ToyOptions options{.family = std::string(family.name), .tied = tied};
  for (const bridge::ParamRow& row : family.params) {
    options.qkv_bias |= row.native.ends_with("linear_qkv.bias");
    options.qk_norm |= row.native.ends_with("q_layernorm.weight");
  }
  return test::toy_model(options);
}

TEST(Families, RegistryIsSortedAndFindable) {
  std::vector<std::string_view> names;
  for (const Family* family : registry()) {
    names.push_back(family->name);
    EXPECT_EQ(find_by_name(family->name), family);
    for (const std::string_view architecture : family->architectures)
      EXPECT_EQ(find_by_architecture(architecture), family);
  }
  EXPECT_EQ(names.size(), 27u);
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_EQ(find_by_architecture("ExaoneMoEForCausalLM"), find_by_architecture("ExaoneMoeForCausalLM"));
  EXPECT_EQ(find_by_name("gpt5"), nullptr);
  EXPECT_EQ(find_by_architecture("llama"), nullptr);
}

TEST(Families, TablesAreSound) {
  for (const Family* family : registry()) {
    EXPECT_EQ(bridge::flaw_of(family->config), "") << family->name;
    EXPECT_EQ(bridge::flaw_of(family->params), "") << family->name;
    for (const bridge::IgnoredRow& row : family->ignored) EXPECT_FALSE(row.reason.empty()) << row.hf;
    std::set<std::string_view> keys;
    for (const bridge::ConfigRow& row : family->config) keys.insert(row.key);
    // A family may say more of a key that must have a certain value otherwise; nothing else stands twice.
    for (const bridge::ConfigRow& row : common_config())
      EXPECT_TRUE(keys.insert(row.key).second || row.kind == bridge::ConfigKind::kMustEqual)
          << family->name << " " << row.key << " stands in both tables";
  }
  EXPECT_EQ(bridge::flaw_of(common_config()), "");
}

TEST(Families, RowsCoverEveryParameter) {
  for (const std::string_view name : kDense)
    for (const bool tied : {false, true}) {
      const Family* family = find_by_name(name);
      const bridge::Map map = bridge::make_map(toy_of(*family, tied), family->params);
      EXPECT_NO_THROW(bridge::prove_complete(map)) << family->name;
      EXPECT_EQ(map.optional.size(), tied ? 1u : 0u) << family->name;
    }
}

/// The tensors that transformers 5.23 writes for a toy of one layer, with their shapes.
std::set<std::pair<std::string, Shape>> written_by_transformers(std::string_view family) {
  std::set<std::pair<std::string, Shape>> tensors = {
      {"model.embed_tokens.weight", {50, 24}},
      {"model.layers.0.input_layernorm.weight", {24}},
      {"model.layers.0.self_attn.q_proj.weight", {32, 24}},
      {"model.layers.0.self_attn.k_proj.weight", {16, 24}},
      {"model.layers.0.self_attn.v_proj.weight", {16, 24}},
      {"model.layers.0.self_attn.o_proj.weight", {24, 32}},
      {"model.layers.0.post_attention_layernorm.weight", {24}},
      {"model.layers.0.mlp.gate_proj.weight", {20, 24}},
      {"model.layers.0.mlp.up_proj.weight", {20, 24}},
      {"model.layers.0.mlp.down_proj.weight", {24, 20}},
      {"model.norm.weight", {24}},
      {"lm_head.weight", {50, 24}},
  };
  if (family == "qwen2")
    for (const auto& [name, rows] : {std::pair("q", 32), {"k", 16}, {"v", 16}})
      tensors.emplace(std::string("model.layers.0.self_attn.") + name + "_proj.bias", Shape{rows});
  if (family == "qwen3")
    for (const char* name : {"q", "k"})
      tensors.emplace(std::string("model.layers.0.self_attn.") + name + "_norm.weight", Shape{8});
  return tensors;
}

TEST(Families, NamesAndShapesAreThoseOfTransformers) {
  for (const std::string_view name : kDense) {
    const Family* family = find_by_name(name);
    spec::ModelSpec model = toy_of(*family, false);
    model.layers.resize(1);
    std::set<std::pair<std::string, Shape>> tensors;
    for (const bridge::TensorInfo& tensor : bridge::make_map(model, family->params).hf)
      tensors.emplace(tensor.name, tensor.shape);
    EXPECT_EQ(tensors, written_by_transformers(family->name)) << family->name;
  }
}

}  // namespace
}  // namespace rialto::families
