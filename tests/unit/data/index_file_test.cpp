// The index cache: built once, mapped after, refused when damaged, whole after a kill, one builder at a time.
#include "rialto/data/index_file.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

struct Numbers {
  std::vector<int32_t> a;
  std::vector<int64_t> b;
};

class IndexFileTest : public data_test::DataTest {
 protected:
  HeldArrays open(const std::string& key = "k", FileOps& ops = real_file_ops()) {
    return cached_arrays({dir_ / "cache", &ops}, "name", key, [this] {
      ++built_;
      return hold(Numbers{{1, 2, 3}, {40, 50}}, [](const Numbers& n) {
        return Arrays{std::as_bytes(std::span(n.a)), std::as_bytes(std::span(n.b))};
      });
    });
  }
  void expect_right(const HeldArrays& held) {
    ASSERT_EQ(held.arrays.size(), 2u);
    const auto a = as_array<int32_t>(held.arrays[0]);
    const auto b = as_array<int64_t>(held.arrays[1]);
    EXPECT_EQ(std::vector<int32_t>(a.begin(), a.end()), (std::vector<int32_t>{1, 2, 3}));
    EXPECT_EQ(std::vector<int64_t>(b.begin(), b.end()), (std::vector<int64_t>{40, 50}));
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> out;
    for (const auto& entry : fs::directory_iterator(dir_ / "cache")) out.push_back(entry.path());
    return out;
  }
  std::atomic<int> built_ = 0;
};

TEST_F(IndexFileTest, IsBuiltOnceForAKey) {
  expect_right(open());
  expect_right(open());
  EXPECT_EQ(built_, 1);
  open("another");
  EXPECT_EQ(built_, 2);
  EXPECT_EQ(files().size(), 2u);
}

TEST_F(IndexFileTest, WithoutAFolderNothingIsWritten) {
  const auto build = [] { return HeldArrays{}; };
  EXPECT_TRUE(cached_arrays({}, "name", "k", build).arrays.empty());
}

TEST_F(IndexFileTest, EveryDamageIsRefused) {
  open();
  const fs::path path = files().at(0);
  const std::string good = read_text_file(path);
  for (size_t size = 0; size < good.size(); ++size) {
    write_file_synced(real_file_ops(), path, good.substr(0, size));
    data_test::error_of(ErrorKind::kInput, [&] { open(); });
  }
  write_file_synced(real_file_ops(), path, good + "x");
  data_test::error_of(ErrorKind::kInput, [&] { open(); });
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    write_file_synced(real_file_ops(), path, bad);
    try {
      expect_right(open());  // bytes between the arrays and digits that read the same do no harm
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
    }
  }
  write_file_synced(real_file_ops(), path, good);
  expect_right(open());
  EXPECT_EQ(built_, 1);
}

TEST_F(IndexFileTest, AFileOfAnotherKeyIsRefused) {
  open();
  const fs::path first = files().at(0);
  open("another");
  for (const fs::path& path : files())
    if (path != first) fs::copy_file(first, path, fs::copy_options::overwrite_existing);
  EXPECT_NE(data_test::error_of(ErrorKind::kInput, [&] { open("another"); }).find("something else"), std::string::npos);
}

TEST_F(IndexFileTest, AFullDiskLeavesNoFile) {
  const auto full = faulty_file_ops(real_file_ops(), "full:write:40");
  data_test::error_of(ErrorKind::kIo, [&] { open("k", *full); });
  EXPECT_TRUE(files().empty());
  expect_right(open());
}

TEST_F(IndexFileTest, BuildersThatComeAtOnceWaitForTheFirst) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([this] { expect_right(open()); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(built_, 1);
  EXPECT_EQ(files().size(), 1u);
}

TEST_F(IndexFileTest, ABuilderThatIsKilledIsReplaced) {
  for (const char* when : {"kill:write:before:2", "kill:sync:after:1", "kill:rename:before:1"}) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto ops = faulty_file_ops(real_file_ops(), when);
      open("k", *ops);
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << when;
  }
  expect_right(open());
}

}  // namespace
}  // namespace rialto::data
