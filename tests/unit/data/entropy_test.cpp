// The unigram bar and bits per byte on numbers that can be worked out by hand.
#include "rialto/data/entropy.h"

#include <cmath>

#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

using data_test::DataTest;
class EntropyTest : public DataTest {};

TEST_F(EntropyTest, CountsOverAllDocuments) {
  const fs::path prefix = write_tokens("t", {{1, 1, 2}, {1, 3, 1, 2, 1}, {}});
  const UnigramEntropy entropy = unigram_entropy(prefix);
  EXPECT_EQ(entropy.tokens, 8);
  EXPECT_EQ(entropy.distinct, 3);
  const double expected = -(5. / 8 * std::log(5. / 8) + 2. / 8 * std::log(2. / 8) + 1. / 8 * std::log(1. / 8));
  EXPECT_DOUBLE_EQ(entropy.nats_per_token, expected);
  const Json report = unigram_report(entropy, 16);
  EXPECT_DOUBLE_EQ(report.at("bits_per_byte").get<double>(), expected / std::log(2.) / 2);
}

TEST_F(EntropyTest, OneTokenIsNoSurpriseAndNoneIsAnError) {
  EXPECT_DOUBLE_EQ(unigram_entropy(write_tokens("one", {{4, 4}})).nats_per_token, 0);
  data_test::error_of(ErrorKind::kInput, [&] { unigram_entropy(write_tokens("none", {{}})); });
  data_test::error_of(ErrorKind::kConfig, [] { bits_per_byte(1, 1, 0); });
}

}  // namespace
}  // namespace rialto::data
