// The table of families is complete and says the same in every form.
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace rialto::cli
