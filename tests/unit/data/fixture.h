// A folder of its own for each test, and the small corpora that the data tests share.
#pragma once

#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "rialto/base/error.h"
#include "rialto/base/file_ops.h"
#include "rialto/formats/indexed_dataset.h"

namespace rialto::data_test {

class DataTest : public ::testing::Test {
 protected:
  DataTest() {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    dir_ = fs::path(::testing::TempDir()) /
           ("rialto_data_" + std::to_string(::getpid()) + "_" + info->test_suite_name() + "_" + info->name());
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  ~DataTest() override { fs::remove_all(dir_); }

  fs::path write(const std::string& name, std::string_view text) const {
    const fs::path path = dir_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  /// PREFIX.bin/.idx of these documents.
  fs::path write_tokens(const std::string& name, const std::vector<std::vector<int32_t>>& documents) const {
    formats::IndexedDatasetWriter writer(real_file_ops(), dir_ / name, 1000);
    for (const auto& document : documents) writer.add_document(document);
    writer.finish();
    return dir_ / name;
  }

  fs::path dir_;
};

inline std::vector<std::vector<int32_t>> read_documents(const fs::path& prefix) {
  const formats::IndexedDataset dataset(prefix);
  std::vector<std::vector<int32_t>> out;
  for (int64_t i = 0; i < dataset.num_sequences(); ++i) {
    out.emplace_back(static_cast<size_t>(dataset.lengths()[static_cast<size_t>(i)]));
    dataset.read(i, 0, out.back());
  }
  return out;
}

/// Runs `body` and returns the Error's text; fails the test when the kind is another or nothing is thrown.
inline std::string error_of(ErrorKind kind, const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(static_cast<int>(e.kind()), static_cast<int>(kind)) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return {};
}

/// A little Python with made-up words, enough of them for a tokenizer to have pairs to merge. Longer texts begin as
/// shorter ones do.
inline std::string sample_text(int lines) {
  std::string text;
  uint32_t state = 1;
  const auto word = [&] {
    std::string out;
    for (int i = 0; i < 3; ++i) {
      state = state * 1664525u + 1013904223u;
      out += "bdfgklmnprst"[(state >> 24) % 12];
      out += "aeiou"[(state >> 16) % 5];
    }
    return out;
  };
  for (int i = 0; i < lines; ++i) {
    text += "def function_" + std::to_string(i) + "(self, " + word() + "):\n    return self." + word() + " + " +
            word() + "  # naïve café 漢字 🙂\n\n";
  }
  return text;
}

}  // namespace rialto::data_test
