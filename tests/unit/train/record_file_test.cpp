// The metrics file of a resumed run is that of one run.
#include "rialto/train/record_file.h"

#include <fstream>

#include <gtest/gtest.h>

namespace rialto::train {
namespace {

class MetricsTest : public testing::Test {
 protected:
  MetricsTest()
      : path_(fs::temp_directory_path() / ("rialto_metrics_" + std::to_string(getpid())) / "sub" / "metrics.jsonl") {
    fs::remove_all(path_.parent_path().parent_path());
  }
  ~MetricsTest() override { fs::remove_all(path_.parent_path().parent_path()); }
  std::string text() const { return read_text_file(path_); }
  void write(const std::string& text) {
    fs::create_directories(path_.parent_path());
    std::ofstream(path_) << text;
  }
  fs::path path_;
};

TEST_F(MetricsTest, AppendsLines) {
  RecordFile file(real_file_ops(), path_, 0);
  file.append({{"iteration", 1}});
  file.append({{"iteration", 2}});
  file.sync();
  EXPECT_EQ(text(), "{\"iteration\":1}\n{\"iteration\":2}\n");
}

TEST_F(MetricsTest, ResumingCutsWhatLiesAfter) {
  write(
      "{\"iteration\":1}\n{\"iteration\":2,\"kind\":\"train\"}\n{\"iteration\":2,\"kind\":\"validation\"}\n{"
      "\"iteration\":3}\n");
  RecordFile file(real_file_ops(), path_, 2);
  file.append({{"iteration", 3}, {"again", true}});
  file.sync();
  EXPECT_EQ(text(),
            "{\"iteration\":1}\n{\"iteration\":2,\"kind\":\"train\"}\n{\"iteration\":2,\"kind\":\"validation\"}\n{"
            "\"iteration\":3,\"again\":true}\n");
}

TEST_F(MetricsTest, ALineCutShortByACrashIsDropped) {
  write("{\"iteration\":1}\n{\"iteration\":2,\"lm lo");
  RecordFile file(real_file_ops(), path_, 5);
  EXPECT_EQ(text(), "{\"iteration\":1}\n");
}

TEST_F(MetricsTest, DamageEndsWhatIsKept) {
  write("{\"iteration\":1}\nnonsense\n{\"iteration\":2}\n");
  RecordFile file(real_file_ops(), path_, 5);
  EXPECT_EQ(text(), "{\"iteration\":1}\n");
}

TEST_F(MetricsTest, ANewRunKeepsNothing) {
  write("{\"iteration\":1}\n");
  RecordFile file(real_file_ops(), path_, 0);
  EXPECT_EQ(text(), "");
}

}  // namespace
}  // namespace rialto::train
