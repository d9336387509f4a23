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

TEST(Names, DepthsMayCountOnAfterTheLastLayer) {
  EXPECT_EQ(match_pattern("mtp.{m}.a.{e}", "mtp.1.a.7")->depth, 1);
  EXPECT_EQ(match_pattern("m.{L+m}.a", "m.61.a")->depth, -1);
  EXPECT_FALSE(match_pattern("m.{L+m}.a", "m.x.a"));
  EXPECT_FALSE(match_pattern("m.{x}.a", "m.1.a"));
  EXPECT_FALSE(match_pattern("m.{l", "m.1"));
  EXPECT_THAT(expand_pattern("m.{L+m}.{gate,up}", {.depth = 1, .num_layers = 61}), ElementsAre("m.62.gate", "m.62.up"));
  EXPECT_THAT(expand_pattern("m.{m}.e{e}", {.expert = 3, .depth = 0}), ElementsAre("m.0.e3"));
}

TEST(Names, ExpandNamesInTheOrderOfTheList) {
  EXPECT_THAT(expand_pattern("m.{l}.{q,k,v}_proj.weight", {.layer = 7}),
              ElementsAre("m.7.q_proj.weight", "m.7.k_proj.weight", "m.7.v_proj.weight"));
  EXPECT_THAT(expand_pattern("plain", {}), ElementsAre("plain"));
  EXPECT_THAT(expand_pattern("x{e}", {.expert = 3}), ElementsAre("x3"));
}

}  // namespace
}  // namespace rialto::bridge
