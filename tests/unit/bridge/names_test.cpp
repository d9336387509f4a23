// Patterns match exactly what they expand to.
#include "rialto/bridge/names.h"

#include <gmock/gmock.h>

namespace rialto::bridge {
namespace {

using testing::ElementsAre;

TEST(Names, MatchTakesPlainNumbers) {
  EXPECT_EQ(match_pattern("a.{l}.b", "a.12.b")->layer, 12);
  EXPECT_EQ(match_pattern("a.{l}.w{e}", "a.3.w45")->expert, 45);
  EXPECT_EQ(match_pattern("a.b", "a.b")->layer, -1);
  for (const char* text : {"a..b", "a.-1.b", "a.01.b", "a.1.bb", "a.1", "a.x.b", "a.1.b.c", "a.1234567890123.b", ""})
    EXPECT_FALSE(match_pattern("a.{l}.b", text)) << text;
}

TEST(Names, ExpandNamesInTheOrderOfTheList) {
  EXPECT_THAT(expand_pattern("m.{l}.{q,k,v}_proj.weight", {.layer = 7}),
              ElementsAre("m.7.q_proj.weight", "m.7.k_proj.weight", "m.7.v_proj.weight"));
  EXPECT_THAT(expand_pattern("plain", {}), ElementsAre("plain"));
  EXPECT_THAT(expand_pattern("x{e}", {.expert = 3}), ElementsAre("x3"));
}

}  // namespace
}  // namespace rialto::bridge
