// The error line and the nearest word.
#include <vector>

#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "rialto/base/progress.h"
#include "rialto/base/version.h"

namespace rialto {
namespace {

TEST(Error, OneLineWithItsParts) {
  EXPECT_STREQ(Error(ErrorKind::kInput, "file", "is short").what(), "[file] is short");
  EXPECT_STREQ(Error(ErrorKind::kInput, "file", "is short", {.got = "3", .want = "4", .hint = "copy it again"}).what(),
               "[file] is short; got 3, want 4. Hint: copy it again");
  EXPECT_STREQ(Error(ErrorKind::kInput, "", "x", {.want = "4"}).what(), "x; want 4");
  EXPECT_STREQ(Error(ErrorKind::kInput, "a\nb", "c\td\x1b[31m").what(), "[a b] c d [31m");
}

TEST(Error, ExitCodes) {
  EXPECT_EQ(exit_code(ErrorKind::kUsage), 2);
  EXPECT_EQ(exit_code(ErrorKind::kConfig), 2);
  EXPECT_EQ(exit_code(ErrorKind::kInput), 3);
  EXPECT_EQ(exit_code(ErrorKind::kShape), 3);
  EXPECT_EQ(exit_code(ErrorKind::kVerify), 4);
  EXPECT_EQ(exit_code(ErrorKind::kIo), 1);
  EXPECT_EQ(exit_code(ErrorKind::kInternal), 1);
  EXPECT_EQ(exit_code(ErrorKind::kComm), 70);
  EXPECT_EQ(exit_code(ErrorKind::kStopped), 75);
}

TEST(Error, NearestWord) {
  const std::vector<std::string> words = {"global_batch_size", "micro_batch_size", "seed"};
  EXPECT_EQ(nearest("globl_batch_size", words), "global_batch_size");
  EXPECT_EQ(nearest("sed", words), "seed");
  EXPECT_EQ(nearest("lr", words), "");
  EXPECT_EQ(nearest("", words), "");
  EXPECT_EQ(nearest(std::string(100000, 'a'), words), "");
}

TEST(Progress, SilentNeverStops) {
  EXPECT_NO_THROW(check_cancelled(silent(), "test"));
  struct Stop : Progress {
    void begin(std::string_view, uint64_t, std::string_view) override {}
    void update(uint64_t) override {}
    void end() override {}
    void notice(std::string_view) override {}
    bool cancelled() const override { return true; }
  } stop;
  try {
    check_cancelled(stop, "test");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kStopped);
  }
}

TEST(Version, BuildIdIsAHash) {
  EXPECT_EQ(build_id().size(), 16u);
  EXPECT_NE(build_id(), "e3b0c44298fc1c14");  // the hash of nothing: no source was found
  EXPECT_FALSE(version().empty());
}

}  // namespace
}  // namespace rialto
