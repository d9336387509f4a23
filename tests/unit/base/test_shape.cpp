// Element counts.
#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "rialto/base/shape.h"

namespace rialto {
namespace {

TEST(Shape, Counts) {
  EXPECT_EQ(num_elements({}), 1);
  EXPECT_EQ(num_elements({3, 4}), 12);
  EXPECT_EQ(num_elements({3, 0, 4}), 0);
  EXPECT_THROW(num_elements({0, int64_t{1} << 40, int64_t{1} << 40}), Error);  // strides of it would overflow
}

TEST(Shape, RefusesWhatCannotExist) {
  EXPECT_THROW(num_elements({-1}), Error);
  EXPECT_THROW(num_elements({int64_t{1} << 32, int64_t{1} << 31}), Error);
  EXPECT_THROW(num_elements({0, -1}), Error);
}

TEST(Shape, Text) {
  EXPECT_EQ(to_text(Shape{}), "()");
  EXPECT_EQ(to_text(Shape{4, 64}), "(4, 64)");
}

}  // namespace
}  // namespace rialto
