// Which files are training, validation and test.
#include "rialto/data/sft_parts.h"

#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

using data_test::error_of;
using Names = std::vector<std::string>;

class SftPartsTest : public data_test::DataTest {
 protected:
  void touch(const Names& names) const {
    for (const std::string& name : names) write("set/" + name, "{}\n");
  }
  Names files(Part part, const std::string& subset = "") const {
    Names names;
    for (const fs::path& path : part_files(dir_ / "set", part, subset))
      names.push_back(path.lexically_relative(dir_ / "set").string());
    return names;
  }
};

TEST_F(SftPartsTest, BridgesNamesComeFirst) {
  touch(
      {"training.jsonl.zst", "test.parquet", "train-00000-of-00001.parquet", "data/validation-00000-of-00001.parquet"});
  EXPECT_EQ(files(Part::kTrain), Names{"training.jsonl.zst"});
  EXPECT_EQ(files(Part::kTest), Names{"test.parquet"});
  EXPECT_EQ(files(Part::kValid), Names{});
  touch({"training.jsonl"});
  EXPECT_NE(error_of(ErrorKind::kInput, [&] { files(Part::kTrain); }).find("training.jsonl and training.jsonl.zst"),
            std::string::npos);
  EXPECT_TRUE(part_files(dir_ / "nowhere", Part::kTrain, "").empty());
}

TEST_F(SftPartsTest, NamesOfTheHub) {
  touch({"data/train-00001-of-00002.parquet", "data/train-00000-of-00002.parquet", "data/val-00000-of-00001.parquet",
         "data/training_notes.txt", "data/trainer.jsonl", "other/train.jsonl", "dev.jsonl.gz", ".cache/train.jsonl",
         "test.csv"});
  EXPECT_EQ(files(Part::kTrain), (Names{"data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"}));
  EXPECT_EQ(files(Part::kValid), (Names{"data/val-00000-of-00001.parquet", "dev.jsonl.gz"}));
  EXPECT_EQ(files(Part::kTest), Names{});
  fs::remove(dir_ / "set/data/train-00001-of-00002.parquet");
  EXPECT_NE(error_of(ErrorKind::kInput, [&] { files(Part::kTrain); }).find("1 of train"), std::string::npos);
}

TEST_F(SftPartsTest, ACardNamesFiles) {
  touch({"en/a.jsonl", "en/b.jsonl", "de/deep/c.parquet", "train.jsonl"});
  const std::string list = R"(---
license: mit
tags: [a, b]
configs:
- config_name: english
  default: true
  data_files:
  - split: train
    path: "en/*.jsonl"
  - split: test
    path: [en/b.jsonl]
- config_name: german
  data_files:
    train: "de/**"
---
# A data set
---
)";
  write("set/README.md", list);
  EXPECT_EQ(files(Part::kTrain), (Names{"en/a.jsonl", "en/b.jsonl"}));
  EXPECT_EQ(files(Part::kTest), Names{"en/b.jsonl"});
  EXPECT_EQ(files(Part::kValid), Names{});
  EXPECT_EQ(files(Part::kTrain, "german"), Names{"de/deep/c.parquet"});
  EXPECT_NE(error_of(ErrorKind::kConfig, [&] { files(Part::kTrain, "french"); }).find("english, german"),
            std::string::npos);
  write("set/README.md", "---\nconfigs:\n- {config_name: a, data_files: en/a.jsonl}\n---\n");
  EXPECT_EQ(files(Part::kTrain), Names{"en/a.jsonl"});
  write("set/README.md", "---\nconfigs:\n- {config_name: a, data_files: x}\n- {config_name: b, data_files: y}\n---\n");
  EXPECT_NE(error_of(ErrorKind::kConfig, [&] { files(Part::kTrain); }).find("dataset_subset"), std::string::npos);
  write("set/README.md", "no card\n");
  EXPECT_EQ(files(Part::kTrain), Names{"train.jsonl"});
}

TEST_F(SftPartsTest, WhatACardGetsWrongIsNamed) {
  touch({"a.jsonl"});
  for (const char* files_of : {"nothing-*.jsonl", "../a.jsonl", "/etc/passwd", "5"}) {
    write("set/README.md", std::string("---\nconfigs:\n- data_files: ") + files_of + "\n---\n");
    EXPECT_NE(error_of(ErrorKind::kInput, [&] { files(Part::kTrain); }).find("README.md"), std::string::npos);
  }
  write("set/README.md", "---\nconfigs: [{config_name: default}]\n---\n");
  error_of(ErrorKind::kInput, [&] { files(Part::kTrain); });
  write("set/README.md", "---\n{ a: [\n---\n");
  error_of(ErrorKind::kInput, [&] { files(Part::kTrain); });
}

}  // namespace
}  // namespace rialto::data
