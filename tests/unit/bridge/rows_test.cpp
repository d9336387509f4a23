// The compile-time checks: each flaw is seen, and sound rows pass.
#include <gtest/gtest.h>

#include "tests/unit/bridge/toy_rows.h"

namespace rialto::bridge {
namespace {

static_assert(well_formed(test::kToyRows));

template <size_t N>
constexpr bool sound(const ParamRow (&rows)[N]) {
  return well_formed(rows);
}

TEST(Rows, FlawsAreSeen) {
  static_assert(sound({{"a.{l}", "b.{l}"}, {"c", "d"}}));
  static_assert(!sound({{"a.{l}", "b"}}));  // wildcards differ
  static_assert(!sound({{"a.{l}", "b.{e}"}}));
  static_assert(!sound({{"a.{l}.{l}", "b.{l}.{l}"}}));  // which of the two?
  static_assert(!sound({{"{q,k}", "b", Op::kQkv}}));    // arity
  static_assert(!sound({{"{gate,up,down}", "b", Op::kGateUp}}));
  static_assert(!sound({{"{q,k,v}", "b"}}));
  static_assert(!sound({{"a", "b", Op::kQkv}}));
  static_assert(!sound({{"a", "{b,c}"}}));          // several parameters
  static_assert(!sound({{"a", "c"}, {"b", "c"}}));  // native name twice
  static_assert(!sound({{"a", "b"}, {"a", "c"}}));  // HF name twice
  static_assert(sound({{"a", "b", Op::kSame, When::kUntied}, {"a", "c", Op::kRepeat, When::kTied}}));
  static_assert(!sound({{"a{", "b"}}) && !sound({{"a}", "b"}}) && !sound({{"a{x}", "b"}}) &&
                !sound({{"{q,,v}", "b", Op::kQkv}}));
  static_assert(!sound({{"", "b"}}));
  // experts: in both names, or packed into one
  static_assert(sound({{"a.{l}", "b.{l}.{e}", Op::kPacked}}) && !sound({{"a.{l}.{e}", "b.{l}.{e}", Op::kPacked}}));
  static_assert(!sound({{"a.{l}", "b.{l}", Op::kPackedReversed}}) && !sound({{"a.{l}", "b.{l}.{e}"}}));
  static_assert(sound({{"{gate,up}", "b.{e}", Op::kPackedGateUp}}) && !sound({{"a", "b.{e}", Op::kPackedGateUp}}));
  // depths: counted on either side, absent only from what is repeated
  static_assert(sound({{"a.{L+m}", "b.{m}"}}) && !sound({{"a.{l}", "b.{m}"}}) && !sound({{"a.{m}", "b.{L+m}"}}));
  static_assert(sound({{"a.{L+m}", "b", Op::kRepeat}}) && !sound({{"a.{L+m}", "b"}}));
  static_assert(sound({{"a", "b", Op::kRepeat, When::kWritten}}) && !sound({{"a", "b", Op::kSame, When::kWritten}}));
  static_assert(sound({{"a.{L+m}.", "b.{m}.", Op::kLayerPrefix}}) && !sound({{"a.{L+m}", "b.{m}", Op::kLayerPrefix}}));
  static_assert(!sound({{"a.", "b.", Op::kLayerPrefix}}));
  // alternatives follow what they replace; layers may share an HF name, the whole model not
  static_assert(sound({{"a", "c"}, {"b", "c", Op::kSame, When::kAlternative}}));
  static_assert(!sound({{"b", "c", Op::kSame, When::kAlternative}, {"a", "c"}}));
  static_assert(sound({{"a.{l}", "b.{l}"}, {"a.{l}", "c.{l}"}}) && !sound({{"a.{l}", "b.{l}"}, {"a.{l}", "b.{l}"}}));
  EXPECT_EQ(flaw_of(std::span<const ParamRow>(test::kToyRows)), "");
}

TEST(Rows, ConfigFlawsAreSeen) {
  constexpr ConfigRow twice[] = {{"a", ConfigKind::kKept}, {"a", ConfigKind::kHidden}};
  constexpr ConfigRow nothing[] = {{"a", ConfigKind::kMustEqual}};
  constexpr ConfigRow sound_rows[] = {{"a", ConfigKind::kMustEqual, "1"}, {"b", ConfigKind::kKept}};
  static_assert(!well_formed(twice) && !well_formed(nothing) && well_formed(sound_rows));
}

}  // namespace
}  // namespace rialto::bridge
