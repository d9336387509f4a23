// The data of a page; tests/oracle/test_report.py opens the page in a browser.
#include "rialto/report/page.h"

#include <gmock/gmock.h>

#include "tests/unit/report/run_files.h"

namespace rialto::report {
namespace {

using testing::HasSubstr;
using testing::Not;
using PageTest = test::RunFiles;

TEST_F(PageTest, CurvesPhasesAndConfigurations) {
  write_run("a");
  write_run("b", 3, "0.01");
  const Json data = page_data({read_run(root_ / "a"), read_run(root_ / "b")});
  const Json curve = data["runs"][0]["series"]["lm loss"];
  EXPECT_EQ(curve, (Json{{"x", {1, 2, 3}}, {"y", {1.5, 2.5, 3.5}}}));
  EXPECT_EQ(data["runs"][1]["phases"], (Json{{"forward", 2.0}}));
  EXPECT_EQ(data["differing"], Json::parse(R"([["optimizer.lr","0.001","0.01"]])"));
  EXPECT_EQ(data["common"].size(), 2u);
}

TEST_F(PageTest, SamplesAreWordsOrNumbersAndFew) {
  write("a/metrics.jsonl",
        "{\"kind\":\"train\",\"iteration\":1,\"lm loss\":2}\n"
        "{\"kind\":\"sample\",\"iteration\":2,\"prompt\":\"Once\",\"text\":\" upon\"}\n"
        "{\"kind\":\"sample\",\"iteration\":4,\"prompt\":[7,8],\"text\":[9]}\n");
  const Json samples = page_data({read_run(root_ / "a")})["runs"][0]["samples"];
  EXPECT_EQ(samples, Json::parse(R"([{"iteration":2,"prompt":"Once","text":" upon"},
                                     {"iteration":4,"prompt":"7 8","text":"9"}])"));
  RunFolder run = read_run(root_ / "a");
  for (int i = 5; i <= 1000; ++i) run.samples.push_back({i, "p", "t"});
  const Json few = page_data({run})["runs"][0]["samples"];
  EXPECT_LE(few.size(), 21u);
  EXPECT_EQ(few.back()["iteration"], 1000);
}

TEST_F(PageTest, LongCurvesAreThinnedAndKeepTheirEnd) {
  RunFolder run;
  for (int i = 1; i <= 10'001; ++i) run.series["lm loss"].emplace_back(i, i);
  const Json curve = page_data({run})["runs"][0]["series"]["lm loss"];
  EXPECT_LE(curve["x"].size(), kMostPoints + 1);
  EXPECT_EQ(curve["x"].back(), 10'001);
}

TEST_F(PageTest, NothingInTheDataEndsTheScript) {
  write_run("a", 3, "'</script><b>'");
  const std::string text = page({read_run(root_ / "a")});
  EXPECT_THAT(text, Not(HasSubstr("</script><b>")));
  EXPECT_THAT(text, HasSubstr("\\u003c/script>\\u003cb>"));
  EXPECT_THAT(text, Not(HasSubstr("@DATA@")));
}

TEST_F(PageTest, ThePageNeedsNothingElse) {
  write_run("a");
  const std::string text = page({read_run(root_ / "a")});
  for (const char* outside : {"src=", "href=", "url(", "import ", "fetch("}) EXPECT_THAT(text, Not(HasSubstr(outside)));
}

}  // namespace
}  // namespace rialto::report
