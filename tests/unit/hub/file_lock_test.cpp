// The lock between processes: one at a time, also where the lock file is removed meanwhile.
#include "rialto/hub/file_lock.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>
#include <unistd.h>

#include "rialto/base/error.h"

namespace rialto::hub {
namespace {

const auto kNothing = [] {};

class FileLockTest : public testing::Test {
 protected:
  void TearDown() override { fs::remove(path); }
  const fs::path path = fs::temp_directory_path() / ("rialto_lock_" + std::to_string(::getpid()));
};

TEST_F(FileLockTest, TheSecondWaitsAndIsTold) {
  std::atomic<bool> waiting = false, released = false;
  std::thread other;
  {
    const FileLock first(path, kNothing, kNothing);
    other = std::thread([&] {
      const FileLock second(path, [&] { waiting = true; }, kNothing);
      EXPECT_TRUE(released);
    });
    while (!waiting) std::this_thread::yield();
    released = true;
  }
  other.join();
}

TEST_F(FileLockTest, WaitingCanBeEnded) {
  const FileLock first(path, kNothing, kNothing);
  const auto stop = [] { throw Error(ErrorKind::kStopped, "test", "stopped"); };
  EXPECT_THROW(FileLock(path, kNothing, stop), Error);
}

TEST_F(FileLockTest, ALockOnARemovedFileIsNone) {
  std::atomic<bool> waiting = false, released = false;
  std::thread other;
  {
    const FileLock first(path, kNothing, kNothing);
    other = std::thread([&] {
      const FileLock second(path, [&] { waiting = true; }, kNothing);  // holds the removed file open
      EXPECT_TRUE(fs::exists(path));
    });
    while (!waiting) std::this_thread::yield();
    fs::remove(path);
  }
  other.join();
}

TEST_F(FileLockTest, AFolderThatIsNotThereIsNamed) {
  EXPECT_THROW(FileLock("/no/such/folder/x.lock", kNothing, kNothing), Error);
}

}  // namespace
}  // namespace rialto::hub
