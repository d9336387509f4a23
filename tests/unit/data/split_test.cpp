// Split strings, rounded as Megatron rounds them.
#include "rialto/data/split.h"

#include <gtest/gtest.h>

#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

using Ranges = std::vector<std::pair<int64_t, int64_t>>;

TEST(Split, RangesFollowEachOtherAndCoverAll) {
  EXPECT_EQ(split_sequences("9999,8,2", 10009), (Ranges{{0, 9999}, {9999, 10007}, {10007, 10009}}));
  EXPECT_EQ(split_sequences("1,1,1", 10), (Ranges{{0, 3}, {3, 7}, {7, 10}}));
}

TEST(Split, HalvesRoundToEven) {
  EXPECT_EQ(split_sequences("1,1", 5), (Ranges{{0, 2}, {2, 5}, {5, 5}}));
  EXPECT_EQ(split_sequences("50,50,0", 7), (Ranges{{0, 4}, {4, 7}, {7, 7}}));
}

TEST(Split, MissingAndZeroPartsAreEmpty) {
  EXPECT_EQ(split_sequences("1", 4), (Ranges{{0, 4}, {4, 4}, {4, 4}}));
  EXPECT_EQ(split_sequences("0, 1.5 ,0.5", 4), (Ranges{{0, 0}, {0, 3}, {3, 4}}));
}

TEST(Split, RefusesWhatIsNotThreeNumbers) {
  for (const char* bad : {"", ",", "1,", "1,,2", "a", "-1,2", "1,2,3,4", "0,0", "1 2", "1.2.3", "1e3", "nan", "."}) {
    SCOPED_TRACE(bad);
    EXPECT_NE(data_test::error_of(ErrorKind::kConfig, [&] { split_sequences(bad, 10); }).find("dataset.split"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace rialto::data
