// Files for one test, removed at its end.
#pragma once

#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "rialto/base/error.h"
#include "rialto/base/file_ops.h"

namespace rialto::formats {

class TempFolder : public ::testing::Test {
 protected:
  TempFolder() : folder_(fs::temp_directory_path() / ("rialto_formats_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~TempFolder() override { fs::remove_all(folder_); }

  fs::path put(const std::string& name, std::string_view bytes) const {
    std::ofstream(folder_ / name, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));  // no fsync: many files
    return folder_ / name;
  }

  fs::path folder_;
};

/// The message of the Error{kInput} that `action` throws; "" when it throws none.
template <class Action>
std::string input_error(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput) << error.what();
    return error.what();
  }
  return "";
}

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

template <class T>
std::string le(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// A change of bytes, for damaging good input.
inline std::string replaced(std::string text, size_t at, std::string_view with) {
  return text.replace(at, with.size(), with);
}

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

}  // namespace rialto::formats
