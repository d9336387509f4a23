// Files: whole writes, faults, and reads that stay inside.
#include <csignal>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "rialto/base/error.h"
#include "rialto/base/file_ops.h"

namespace rialto {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

class FileOpsTest : public ::testing::Test {
 protected:
  FileOpsTest() : folder_(fs::temp_directory_path() / ("rialto_file_ops_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~FileOpsTest() override { fs::remove_all(folder_); }
  size_t count() const { return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), {})); }
  fs::path folder_;
};

TEST_F(FileOpsTest, WritesInOrderAndByOffset) {
  const fs::path path = folder_ / "a";
  const auto file = real_file_ops().create(path);
  file->write(bytes_of("hello "));
  file->write(bytes_of("world"));
  file->write_at(0, bytes_of("J"));
  EXPECT_EQ(file->position(), 11u);
  file->sync();
  file->close();
  EXPECT_EQ(read_text_file(path), "Jello world");
}

TEST_F(FileOpsTest, AtomicWriteReplacesAndLeavesNothingBeside) {
  const fs::path path = folder_ / "a";
  write_file_atomically(real_file_ops(), path, "one");
  write_file_atomically(real_file_ops(), path, "two");
  EXPECT_EQ(read_text_file(path), "two");
  EXPECT_EQ(count(), 1u);
}

TEST_F(FileOpsTest, AFileIsReplacedOnlyWhenItsWriterEnds) {
  const fs::path path = folder_ / "a";
  write_file_atomically(real_file_ops(), path, "old");
  const auto half = [&](const fs::path& temporary) {
    real_file_ops().create(temporary)->write(std::as_bytes(std::span("half", 4)));
    throw Error(ErrorKind::kIo, "test", "stopped");
  };
  EXPECT_THROW(replace_file(real_file_ops(), path, half), Error);
  EXPECT_EQ(read_text_file(path), "old");
  EXPECT_EQ(count(), 1u);
}

TEST_F(FileOpsTest, AFileWithoutAFolderIsInTheCurrentOne) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  write_file_atomically(real_file_ops(), "bare", "x");
  fs::current_path(before);
  EXPECT_EQ(read_text_file(folder_ / "bare"), "x");
}

TEST_F(FileOpsTest, FullDiskKeepsTheOldFile) {
  const fs::path path = folder_ / "a";
  write_file_atomically(real_file_ops(), path, "old");
  const auto full = faulty_file_ops(real_file_ops(), "full:write:5");
  try {
    write_file_atomically(*full, path, "a longer text");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_NE(std::string(error.what()).find("No space left"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("Hint: free space"), std::string::npos);
  }
  EXPECT_EQ(read_text_file(path), "old");
  EXPECT_EQ(count(), 1u);
  EXPECT_THROW(write_file_synced(*full, folder_ / "b", "x"), Error) << "a full disk stays full";
}

TEST_F(FileOpsTest, KillsWhereAsked) {
  const auto die = [&](const char* spec) {
    const auto ops = faulty_file_ops(real_file_ops(), spec);
    write_file_synced(*ops, folder_ / "first", "1");
    write_file_atomically(*ops, folder_ / "second", "2");
  };
  const auto killed = ::testing::KilledBySignal(SIGKILL);
  EXPECT_EXIT(die("kill:create:before:1"), killed, "");
  EXPECT_FALSE(fs::exists(folder_ / "first"));
  EXPECT_EXIT(die("kill:sync:after:1"), killed, "");
  EXPECT_TRUE(fs::exists(folder_ / "first"));
  EXPECT_EXIT(die("kill:rename:before:1"), killed, "");
  EXPECT_FALSE(fs::exists(folder_ / "second"));
  EXPECT_EXIT(die("kill:rename:after:1"), killed, "");
  EXPECT_TRUE(fs::exists(folder_ / "second"));
  EXPECT_EXIT(die("kill:write:before:2"), killed, "");
  EXPECT_EXIT(die("kill:sync_dir:before:1"), killed, "");
  die("kill:rename:before:2");  // there is only one
}

TEST_F(FileOpsTest, FaultSpecificationsAreChecked) {
  for (const char* spec : {"", "kill", "kill:rename", "kill:rename:before", "kill:rename:before:0",
                           "kill:rename:before:x", "kill:rename:during:1", "kill:chmod:before:1", "full:rename:1",
                           "full:write", "full:write:-1", "full:write:1:2", "kill:rename:before:1 "}) {
    try {
      faulty_file_ops(real_file_ops(), spec);
      FAIL() << spec;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    }
  }
}

TEST_F(FileOpsTest, ReadsStayInside) {
  write_file_synced(real_file_ops(), folder_ / "a", "0123456789");
  const ReadFile file(folder_ / "a");
  std::byte out[4];
  file.read_at(6, out);
  EXPECT_EQ(static_cast<char>(out[3]), '9');
  for (const uint64_t offset : {uint64_t{7}, uint64_t{11}, UINT64_MAX, UINT64_MAX - 2}) {
    try {
      file.read_at(offset, out);
      FAIL() << offset;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
    }
  }
}

TEST_F(FileOpsTest, MissingAndStrangeFiles) {
  const auto kind_of = [](const fs::path& path) {
    try {
      const ReadFile file(path);
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::kInternal;
  };
  EXPECT_EQ(kind_of(folder_ / "none"), ErrorKind::kInput);
  EXPECT_EQ(kind_of(folder_), ErrorKind::kInput);
  EXPECT_EQ(kind_of("/dev/zero"), ErrorKind::kInput);
  write_file_synced(real_file_ops(), folder_ / "big", std::string(100, 'x'));
  EXPECT_THROW(read_text_file(folder_ / "big", 99), Error);
  EXPECT_EQ(read_text_file(folder_ / "big", 100).size(), 100u);
}

TEST_F(FileOpsTest, ErrorsNameThePath) {
  try {
    real_file_ops().create(folder_ / "no" / "such");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_NE(std::string(error.what()).find("no/such"), std::string::npos);
  }
  EXPECT_THROW(real_file_ops().rename(folder_ / "x", folder_ / "y"), Error);
  EXPECT_THROW(real_file_ops().sync_dir(folder_ / "x"), Error);
  EXPECT_NO_THROW(real_file_ops().remove_all(folder_ / "x"));
}

}  // namespace
}  // namespace rialto
