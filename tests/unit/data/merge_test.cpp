// Joined pairs are the files that one writer would have made.
#include "rialto/data/merge.h"

#include <gtest/gtest.h>

#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

using data_test::DataTest;

class MergeTest : public DataTest {
 protected:
  Json merge_of(const std::vector<std::string>& names, const std::string& output, bool overwrite = false) const {
    std::vector<std::string> inputs;
    for (const std::string& name : names) inputs.push_back((dir_ / name).string());
    return merge(inputs, dir_ / output, overwrite, real_file_ops(), nullptr);
  }
  std::string refused(ErrorKind kind, const std::vector<std::string>& names, const std::string& output) const {
    return data_test::error_of(kind, [&] { merge_of(names, output); });
  }
  std::string bytes(const std::string& name) const { return read_text_file(dir_ / name); }
};

TEST_F(MergeTest, TheBytesOfOneWriter) {
  write_tokens("a", {{1, 2, 3}, {}, {4}});
  write_tokens("b", {});
  write_tokens("c", {{5, 6}, {7}});
  write_tokens("whole", {{1, 2, 3}, {}, {4}, {5, 6}, {7}});
  const Json report = merge_of({"a", "b.idx", "c.bin"}, "out/joined");
  EXPECT_EQ(bytes("out/joined.bin"), bytes("whole.bin"));
  EXPECT_EQ(bytes("out/joined.idx"), bytes("whole.idx"));
  EXPECT_EQ(report.at("documents"), 5);
  EXPECT_EQ(report.at("tokens"), 7);
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_ / "out"), {}), 2);
}

TEST_F(MergeTest, ShardsMustBeAllThereInOrder) {
  for (int i = 1; i <= 3; ++i) write_tokens("t.0" + std::to_string(i) + "-of-03", {{i}});
  const std::vector<std::string> shards{"t.01-of-03", "t.02-of-03", "t.03-of-03"};
  EXPECT_EQ(merge_of(shards, "t").at("documents"), 3);
  EXPECT_NE(refused(ErrorKind::kInput, {shards[0], shards[2]}, "u").find("t.02-of-03"), std::string::npos);
  EXPECT_NE(refused(ErrorKind::kInput, {shards[1], shards[0], shards[2]}, "u").find("t.01-of-03"), std::string::npos);
  EXPECT_NE(refused(ErrorKind::kInput, {shards[0], shards[1]}, "u").find("not all shards"), std::string::npos);
  EXPECT_FALSE(fs::exists(dir_ / "u.bin"));
}

TEST_F(MergeTest, RefusesWhatCannotBeJoined) {
  write_tokens("a", {{1}});
  formats::IndexedDatasetWriter wide(real_file_ops(), dir_ / "wide", 100000);
  wide.finish();
  EXPECT_NE(refused(ErrorKind::kConfig, {"a", "wide"}, "u").find("element type"), std::string::npos);
  EXPECT_NE(refused(ErrorKind::kConfig, {"a"}, "a").find("among the inputs"), std::string::npos);
  refused(ErrorKind::kInput, {"a", "absent"}, "u");
  EXPECT_FALSE(fs::exists(dir_ / "u.idx"));
  EXPECT_FALSE(fs::exists(dir_ / ".u.bin.tmp"));
  write("u.idx", "old");
  EXPECT_NE(refused(ErrorKind::kConfig, {"a"}, "u").find("already exists"), std::string::npos);
  EXPECT_EQ(merge_of({"a"}, "u", true).at("tokens"), 1);
}

}  // namespace
}  // namespace rialto::data
