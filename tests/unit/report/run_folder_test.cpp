// What is read of a run.
#include "rialto/report/run_folder.h"

#include <gmock/gmock.h>

#include "rialto/base/error.h"
#include "tests/unit/report/run_files.h"

namespace rialto::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using RunFolderTest = test::RunFiles;

TEST_F(RunFolderTest, SeriesHaveTheRecordsValues) {
  write_run("a");
  const RunFolder run = read_run(root_ / "a");
  EXPECT_EQ(run.name, "a");
  EXPECT_EQ(run.iteration, 3);
  EXPECT_EQ(run.tokens, 3 * 64);
  EXPECT_THAT(run.series.at("lm loss"), ElementsAre(Pair(1, 1.5), Pair(2, 2.5), Pair(3, 3.5)));
  EXPECT_THAT(run.series.at("validation loss"), ElementsAre(Pair(0, 5.5)));
  EXPECT_THAT(run.series.at("phases/forward"), ElementsAre(Pair(1, 1.0), Pair(2, 2.0), Pair(3, 3.0)));
  EXPECT_EQ(run.last("memory/mem-max-resident-gigabytes"), 0.5);
  EXPECT_EQ(run.checkpoint->filename(), "iter_0000002");
  EXPECT_EQ(run.config.at("train.train_iters"), "3");
  EXPECT_EQ(run.config.at("dataset.data_path"), "[a, b]");
}

TEST_F(RunFolderTest, AMetricsFileIsARunToo) {
  write_run("a");
  EXPECT_EQ(read_run(root_ / "a" / "metrics.jsonl").name, "a");
}

TEST_F(RunFolderTest, ALineCutShortIsLeftOut) {
  write("a/metrics.jsonl", "{\"kind\":\"train\",\"iteration\":1,\"lm loss\":2}\n{\"kind\":\"train\",\"iter");
  EXPECT_THAT(read_run(root_ / "a").series.at("lm loss"), ElementsAre(Pair(1, 2.0)));
}

TEST_F(RunFolderTest, DamageIsNamed) {
  write("a/metrics.jsonl", "{\"kind\":\"train\",\"iteration\":1,\"lm loss\":2}\nnonsense\n");
  write("b/metrics.jsonl", "{\"kind\":\"train\",\"iteration\":\"one\"}\n");
  for (const auto& [name, line] : {std::pair("a", "metrics.jsonl:2"), std::pair("b", "metrics.jsonl:1")}) {
    try {
      read_run(root_ / name);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_THAT(error.what(), HasSubstr(line));
    }
  }
  EXPECT_THROW(read_run(root_ / "nowhere"), Error);
}

TEST_F(RunFolderTest, StateIsFinishedWhenTheLastIterationIsRecorded) {
  write_run("done", 3);
  write_run("going", 9);
  EXPECT_EQ(state_of(read_run(root_ / "done")), "finished");
  EXPECT_EQ(state_of(read_run(root_ / "going")), "active");
  RunFolder old = read_run(root_ / "going");
  old.written -= std::chrono::hours(3);
  EXPECT_EQ(state_of(old), "stopped");
}

TEST_F(RunFolderTest, RunsAreFoundAndListed) {
  write_run("b");
  write_run("deep/a");
  write_run("much/too/far/down");
  fs::create_directories(root_ / "empty");
  const std::vector<fs::path> found = find_runs(root_);
  ASSERT_THAT(found, ElementsAre(root_ / "b", root_ / "deep" / "a"));
  const Json table = runs_table({read_run(found[0]), read_run(found[1])});
  EXPECT_EQ(table[0]["iteration"], 3);
  EXPECT_EQ(table[0]["lm loss"], 3.5);
  EXPECT_EQ(table[1]["checkpoint"], "iter_0000002");
  EXPECT_THAT(runs_text(table), testing::ContainsRegex("deep/a +3 +3.5000 +5.5000 +finished +iter_0000002"));
}

}  // namespace
}  // namespace rialto::report
