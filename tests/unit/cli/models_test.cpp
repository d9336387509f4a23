// The table of families is complete and says the same in every form.
#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "rialto/cli/model_rows.h"
#include "rialto/cli/models_table.h"
#include "rialto/families/family.h"

namespace rialto::cli {
namespace {

TEST(Models, EveryFamilyHasEveryColumn) {
  const Json table = models_table();
  EXPECT_EQ(table["families"].size(), families::registry().size());
  EXPECT_GE(table["columns"].size(), 6u);
  for (const Json& family : table["families"])
    for (const Json& column : table["columns"]) EXPECT_TRUE(family["cells"][column.get<std::string>()].is_string());
}

TEST(Models, TextAndMarkdownNameThem) {
  const Json table = models_table();
  for (const families::Family* family : families::registry()) {
    EXPECT_NE(models_text(table).find(family->title), std::string::npos);
    EXPECT_NE(models_markdown(table).find("| " + std::string(family->title) + " |"), std::string::npos);
  }
}

TEST(Models, ReasonsAreShown) {
  Json table = models_table();
  table["families"][0]["cells"]["logits"] = "passed";
  table["families"][0]["cells"]["resume"] = "failed: test_x";
  EXPECT_NE(models_text(table).find("resume: failed: test_x"), std::string::npos);
  EXPECT_NE(models_text(table).find("passed"), std::string::npos);
  EXPECT_NE(models_markdown(table).find("| failed: test_x |"), std::string::npos);
}

TEST(ModelRows, EveryFamilyShowsItsLastLayer) {
  for (const families::Family* family : families::registry()) {
    const Json rows = model_rows(std::string(family->name), {}, {});
    EXPECT_EQ(rows["rows"].size(), family->params.size());
    EXPECT_GE(rows["layer"]["pieces"].size(), 5u) << family->name;
    const std::string text = model_rows_text(rows);
    EXPECT_NE(text.find("decoder.layers.{l}."), std::string::npos);
    EXPECT_EQ(model_rows(std::string(family->architectures.front()), {}, {})["name"], family->name);
  }
}

TEST(ModelRows, QueriesKeysAndValuesHaveTheirBoxes) {
  const Json pieces = model_rows("llama", {}, 1)["layer"]["pieces"];
  const auto found = std::find_if(pieces.begin(), pieces.end(),
                                  [](const Json& p) { return p["hf"] == "model.layers.1.self_attn.k_proj.weight"; });
  ASSERT_NE(found, pieces.end());
  EXPECT_EQ((*found)["native"], "decoder.layers.1.self_attention.linear_qkv.weight");
  // The example has 4 heads in 2 groups: per group two query heads, then a key, then a value, each of 16 rows.
  EXPECT_EQ((*found)["native_view"], "(2, 4, 16, 64)");
  EXPECT_EQ((*found)["box"], "(0, 2, 0, 0) to (2, 3, 16, 64)");
}

TEST(ModelRows, UnknownNamesAndLayersAreRefused) {
  for (const auto& [name, layer] : {std::pair<std::string, int64_t>("lama", 0), {"llama", 4}, {"llama", -1}}) {
    try {
      model_rows(name, {}, layer);
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    }
  }
}

}  // namespace
}  // namespace rialto::cli
