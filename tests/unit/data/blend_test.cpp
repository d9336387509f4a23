// Blends as words and as files; Megatron's own reading is compared in tests/oracle/test_samples.py.
#include "rialto/data/blend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

using testing::ElementsAre;
class BlendFilesTest : public data_test::DataTest {};

TEST(Blend, WordsAreWeightsAndPrefixesOrPrefixesAlone) {
  const Blend weighted = blend_of({"30", " a", "0.5", "b "}, "key");
  EXPECT_THAT(weighted.prefixes, ElementsAre("a", "b"));
  EXPECT_THAT(weighted.weights.value(), ElementsAre(30.0, 0.5));
  for (const auto& words : {std::vector<std::string>{"a"}, {"a", "b"}, {"a", "b", "c"}, {"1", "2", "3"}}) {
    EXPECT_EQ(blend_of(words, "key").prefixes, words);
    EXPECT_FALSE(blend_of(words, "key").weights);
  }
}

TEST(Blend, RefusesWhatIsNeither) {
  const auto refused = [](const std::vector<std::string>& words) {
    return data_test::error_of(ErrorKind::kConfig, [&] { blend_of(words, "key"); });
  };
  EXPECT_NE(refused({}).find("[key] names no data"), std::string::npos);
  EXPECT_NE(refused({"a", " "}).find("empty name"), std::string::npos);
  for (const char* weight : {"0", "-1", "nan", "inf"})
    EXPECT_NE(refused({weight, "a"}).find("positive number"), std::string::npos) << weight;
  EXPECT_NE(refused({"1", "a", "b", "c"}).find("for some only"), std::string::npos);
  EXPECT_NE(refused({"a", "b", "1", "c"}).find("for some only"), std::string::npos);
}

TEST(Blend, SamplesOfASourceAreRoundedUpTwice) {
  EXPECT_EQ(samples_for(0.3, 1000, 0), 300);
  EXPECT_EQ(samples_for(0.3, 1001, 0), 301);
  EXPECT_EQ(samples_for(0.3, 1001, 0.005), 303);  // ceil(301 * 1.005)
  EXPECT_EQ(samples_for(0.5, int64_t{1} << 40, 0), int64_t{1} << 39);
}

TEST_F(BlendFilesTest, WordsStandBetweenWhiteSpace) {
  EXPECT_THAT(blend_words(write("words", "30 a\n  70\tb\n")), ElementsAre("30", "a", "70", "b"));
}

TEST_F(BlendFilesTest, AJsonFileNamesTheThreeParts) {
  const auto parts = blend_words_per_split(write("parts", R"({"train": "1 a", "valid": ["b"], "test": null})"));
  EXPECT_THAT(parts[0], ElementsAre("1", "a"));
  EXPECT_THAT(parts[1], ElementsAre("b"));
  EXPECT_TRUE(parts[2].empty());
  for (const char* text : {"[]", "3", R"({"train": "a", "valid": "b"})", R"({"train": 1, "valid": "b", "test": "c"})",
                           R"({"train": {"x": "y"}, "valid": "b", "test": "c"})", "{"}) {
    const fs::path path = write("bad", text);
    data_test::error_of(ErrorKind::kInput, [&] { blend_words_per_split(path); });
  }
}

}  // namespace
}  // namespace rialto::data
