// Rows of token ids, read and drawn.
#include "rialto/data/token_rows.h"

#include <algorithm>
#include <set>

#include "fixture.h"

namespace rialto::data {
namespace {

using TokenRowsTest = data_test::DataTest;

void expect_input_error(const fs::path& path, const std::string& word) {
  try {
    read_token_rows(path, 10);
    ADD_FAILURE() << word;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
  }
}

TEST_F(TokenRowsTest, ReadsRowsOfOneLength) {
  EXPECT_EQ(read_token_rows(write("ids.json", "[[0, 9, 3], [1, 1, 1]]"), 10), (TokenRows{{0, 9, 3}, {1, 1, 1}}));
}

TEST_F(TokenRowsTest, RefusesWhatNoModelCanRun) {
  expect_input_error(write("a.json", "[]"), "no rows");
  expect_input_error(write("b.json", "[[1], []]"), "row 1 is not a list");
  expect_input_error(write("c.json", "[[1, 10]]"), "0 to 9");
  expect_input_error(write("d.json", "[[1, -1]]"), "0 to 9");
  expect_input_error(write("e.json", "[[1, 2.5]]"), "2.5");
  expect_input_error(write("f.json", "[[1, 2], [3]]"), "another length");
}

TEST(RandomTokenRows, AreTheSameEverywhereAndUseTheWholeVocabulary) {
  const TokenRows rows = random_token_rows(7, 1 << 20);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows, random_token_rows(7, 1 << 20));
  EXPECT_NE(rows[0], rows[1]);
  std::set<int64_t> seen;
  for (const auto& row : rows) {
    EXPECT_GT(row.size(), 128U) << "longer than the window of GPT-OSS";
    seen.insert(row.begin(), row.end());
  }
  EXPECT_EQ(seen, (std::set<int64_t>{0, 1, 2, 3, 4, 5, 6}));
}

TEST(RandomTokenRows, StayWithinTheModelsPositions) {
  for (const auto& row : random_token_rows(7, 40)) EXPECT_EQ(row.size(), 40U);
}

}  // namespace
}  // namespace rialto::data
