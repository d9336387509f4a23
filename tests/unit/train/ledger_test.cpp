// What a run has read is written at every save, and compared when it goes on.
#include "rialto/data/ledger.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "toy_run.h"

namespace rialto::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Keeps the notices.
struct Notices : Progress {
  void begin(std::string_view, uint64_t, std::string_view) override {}
  void update(uint64_t) override {}
  void end() override {}
  void notice(std::string_view line) override { lines.emplace_back(line); }
  std::vector<std::string> lines;
};

class RunLedgerTest : public testing::Test, protected ToyRun {
 protected:
  config::RunConfig blended(const std::string& run, int64_t iterations) const {
    config::RunConfig config = ToyRun::config(run);
    config.dataset.data_path = {"3", (folder_ / "train").string(), "1", (folder_ / "valid").string()};
    config.dataset.split = "1";
    config.dataset.valid_data_path.clear();
    config.validation.eval_interval.reset();
    config.train.train_iters = 12;
    config.scheduler.lr_warmup_iters = 0;
    config.train.exit_interval = iterations;
    return config;
  }
  std::vector<data::LedgerEntry> ledger(const std::string& run) const {
    return data::read_ledger(folder_ / run / data::kLedgerName);
  }
  std::vector<std::string> notices_of(const config::RunConfig& config) {
    Notices notices;
    Hooks hooks;
    hooks.progress = &notices;
    train(config, hooks);
    return notices.lines;
  }
};

TEST_F(RunLedgerTest, EverySaveSaysWhatWasRead) {
  config::RunConfig config = blended("run", 8);
  config.checkpoint.save_interval = 4;
  train(config, {});
  const auto entries = ledger("run");
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].iteration, 4);
  EXPECT_EQ(entries[0].samples, 16);
  EXPECT_EQ(entries[1].iteration, 8);
  EXPECT_EQ(entries[1].sources.at(0).source, (folder_ / "train").string());
  EXPECT_EQ(entries[1].sources[0].samples, 24);
  EXPECT_EQ(entries[1].sources[0].tokens, 24 * 24);
  EXPECT_EQ(entries[1].sources.at(1).samples, 8);
}

TEST_F(RunLedgerTest, AResumedRunWritesTheLedgerOfAnUninterruptedOne) {
  config::RunConfig straight = blended("straight", 12), halves = blended("halves", 6);
  straight.checkpoint.save_interval = 6;
  train(straight, {});
  train(halves, {});
  // a crash after the ledger's line and before its checkpoint, and one inside a line
  data::LedgerEntry lost = ledger("halves").back();
  lost.iteration = 9;
  std::ofstream(folder_ / "halves" / data::kLedgerName, std::ios::app) << data::to_json(lost) << "\n{\"iterat";
  halves.train.exit_interval = 12;
  train(halves, {});
  EXPECT_EQ(read_text_file(folder_ / "halves" / data::kLedgerName),
            read_text_file(folder_ / "straight" / data::kLedgerName));
}

TEST_F(RunLedgerTest, ARunThatGoesOnWithOtherDataIsTold) {
  config::RunConfig config = blended("run", 4);
  EXPECT_THAT(notices_of(config), ElementsAre());
  config.train.exit_interval = 6;
  EXPECT_THAT(notices_of(config), ElementsAre(HasSubstr("resuming")));
  config.train.exit_interval = 8;
  config.dataset.random_seed = 5;
  EXPECT_THAT(notices_of(config),
              ElementsAre(HasSubstr("resuming"),
                          HasSubstr("the training data has changed since iteration 6: its first 24 samples are not")));
  config.train.exit_interval = 10;
  config.dataset.data_path[0] = "1";
  EXPECT_THAT(notices_of(config), ElementsAre(HasSubstr("resuming"), HasSubstr("16 of train, 16 of valid")));
}

TEST_F(RunLedgerTest, ALineThatIsNoEntryStopsTheRunBeforeItReads) {
  train(blended("run", 4), {});
  std::ofstream(folder_ / "run" / data::kLedgerName) << "{}\n";
  EXPECT_THAT(failure(blended("run", 8), ErrorKind::kInput), HasSubstr("ledger.jsonl:1] not an entry of a ledger"));
}

}  // namespace
}  // namespace rialto::train
