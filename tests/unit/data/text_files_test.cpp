// Which files a source means: order, suffixes, excluded folders, the held-out part.
#include "rialto/data/text_files.h"

#include <set>

#include <gtest/gtest.h>

#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

using data_test::DataTest;
using Part = TextSource::Part;

class TextFilesTest : public DataTest {
 protected:
  std::vector<std::string> list(const TextSource& source) {
    skipped_.clear();
    std::vector<std::string> out;
    for (const TextFile& file : list_text_files(source, skipped_))
      out.push_back(file.path.lexically_relative(dir_).string());
    return out;
  }
  SkipCounts skipped_;
};

TEST_F(TextFilesTest, FoldersAreWalkedInByteOrderAndOthersCounted) {
  for (const char* name : {"b.py", "a/z.py", "a.py", "a/b/c.txt", "x.bin", "B.md", "skip/me.py", "a/skip/too.py"})
    write(name, "x");
  EXPECT_EQ(list({.inputs = {dir_}, .exclude_dirs = {"skip"}}),
            (std::vector<std::string>{"B.md", "a.py", "a/b/c.txt", "a/z.py", "b.py"}));
  EXPECT_EQ(skipped_, (SkipCounts{{"excluded folder", 2}, {"other suffix", 1}}));
  EXPECT_EQ(list({.inputs = {dir_}, .include = {".bin"}}), (std::vector<std::string>{"x.bin"}));
}

TEST_F(TextFilesTest, AFileGivenByNameIsTakenWhateverItsSuffix) {
  const fs::path file = write("notes.log", "x");
  EXPECT_EQ(list({.inputs = {file}}), (std::vector<std::string>{"notes.log"}));
}

TEST_F(TextFilesTest, TheTwoPartsAreDisjointAndTogetherAll) {
  for (int i = 0; i < 300; ++i) write("lib/f" + std::to_string(i) + ".py", "x");
  const auto all = list({.inputs = {dir_ / "lib"}});
  const auto train = list({.inputs = {dir_ / "lib"}, .held_out_modulo = 20, .part = Part::kTrain});
  const auto held_out = list({.inputs = {dir_ / "lib"}, .held_out_modulo = 20, .part = Part::kHeldOut});
  EXPECT_GT(held_out.size(), 4u);
  EXPECT_LT(held_out.size(), 40u);
  std::set<std::string> both(train.begin(), train.end());
  both.insert(held_out.begin(), held_out.end());
  EXPECT_EQ(both.size(), train.size() + held_out.size());
  EXPECT_EQ(both.size(), all.size());
}

TEST_F(TextFilesTest, ThePartDependsOnThePathInsideTheInputOnly) {
  write("one/json/decoder.py", "x");
  write("two/deep/json/decoder.py", "y");
  for (int64_t modulo = 2; modulo < 30; ++modulo) {
    const bool held_out = is_held_out("json/decoder.py", modulo);
    EXPECT_EQ(list({.inputs = {dir_ / "one"}, .held_out_modulo = modulo, .part = Part::kHeldOut}).size(),
              held_out ? 1u : 0u);
    EXPECT_EQ(list({.inputs = {dir_ / "two/deep"}, .held_out_modulo = modulo, .part = Part::kHeldOut}).size(),
              held_out ? 1u : 0u);
  }
}

TEST_F(TextFilesTest, TheHashIsTheSameEverywhere) {
  const uint64_t crc = 1136565175u;  // Python: zlib.crc32(b"json/decoder.py")
  for (int64_t modulo = 2; modulo < 200; ++modulo) {
    EXPECT_EQ(is_held_out("json/decoder.py", modulo), crc % static_cast<uint64_t>(modulo) == 0) << modulo;
  }
}

TEST_F(TextFilesTest, RefusesMissingInputsAndHalfSplits) {
  EXPECT_NE(data_test::error_of(ErrorKind::kInput, [&] { list({.inputs = {dir_ / "none"}}); }).find("does not exist"),
            std::string::npos);
  data_test::error_of(ErrorKind::kConfig, [&] { list({.inputs = {dir_}, .part = Part::kTrain}); });
  data_test::error_of(ErrorKind::kConfig, [&] { list({.inputs = {dir_}, .held_out_modulo = 20}); });
  data_test::error_of(ErrorKind::kConfig,
                      [&] { list({.inputs = {dir_}, .held_out_modulo = 1, .part = Part::kTrain}); });
  data_test::error_of(ErrorKind::kConfig,
                      [&] { list({.inputs = {dir_}, .held_out_modulo = -4, .part = Part::kTrain}); });
  data_test::error_of(ErrorKind::kUsage, [&] { list({}); });
}

TEST_F(TextFilesTest, APatternStandsForItsMatchesInByteOrder) {
  for (const char* name : {"b2.txt", "b10.txt", "B.txt", "a/x.txt", "b[1].txt"}) write(name, "x");
  EXPECT_EQ(list({.inputs = {dir_ / "b*.txt"}}), (std::vector<std::string>{"b10.txt", "b2.txt", "b[1].txt"}));
  EXPECT_EQ(list({.inputs = {dir_ / "?/*"}}), (std::vector<std::string>{"a/x.txt"}));
  EXPECT_EQ(list({.inputs = {dir_ / "b[1].txt"}}), (std::vector<std::string>{"b[1].txt"}));  // a file is no pattern
  EXPECT_NE(data_test::error_of(ErrorKind::kInput, [&] { list({.inputs = {dir_ / "z*"}}); }).find("matches nothing"),
            std::string::npos);
}

TEST_F(TextFilesTest, AFileMayBeNamedOnce) {
  write("a/x.py", "x");
  write("a/y.py", "y");
  for (const fs::path& again : {dir_ / "a" / "x.py", dir_ / "a" / ".." / "a" / "y.py", dir_ / "a" / "*.py", dir_ / "a"})
    EXPECT_NE(data_test::error_of(ErrorKind::kConfig, [&] { list({.inputs = {dir_ / "a", again}}); }).find("twice"),
              std::string::npos)
        << again;
}

TEST_F(TextFilesTest, TheNameSaysHowAFileIsRead) {
  using Form = TextFile::Form;
  const auto form = [](const char* name) { return text_file(name, 1).form; };
  EXPECT_EQ(form("a.jsonl"), Form::kJsonLines);
  EXPECT_EQ(form("a.jsonl.gz"), Form::kJsonLines);
  EXPECT_EQ(form("a.b.jsonl.zst"), Form::kJsonLines);
  EXPECT_EQ(form("-"), Form::kJsonLines);
  EXPECT_EQ(form("a.parquet"), Form::kParquet);
  for (const char* name : {"a.txt", "a.txt.gz", "a.gz", "jsonl", "a.jsonl.bz2"})
    EXPECT_EQ(form(name), Form::kText) << name;
  EXPECT_EQ(text_file("a.txt.gz", 1).compression, formats::Compression::kGzip);
  EXPECT_EQ(text_file("a.jsonl.zst", 1).compression, formats::Compression::kZstd);
  EXPECT_FALSE(text_file("a.jsonl", 1).compression);
}

TEST_F(TextFilesTest, LinksToFoldersAreNotFollowed) {
  write("a/x.py", "x");
  fs::create_directory_symlink(dir_, dir_ / "a/loop");
  EXPECT_EQ(list({.inputs = {dir_}}), (std::vector<std::string>{"a/x.py"}));
}

}  // namespace
}  // namespace rialto::data
