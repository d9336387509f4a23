// Killed or out of space in the middle: the destination is whole, or as it was; the next run goes through.
#include <sys/wait.h>

#include "tests/unit/convert/toy.h"
#include "tests/unit/stop_after.h"

namespace rialto::convert {
namespace {

bool killed(const ConvertOptions& options, const std::string& fault) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto ops = faulty_file_ops(real_file_ops(), fault);
    convert(options, *ops, nullptr);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/// Kills the conversion around every rename, sync and removal, with an old destination in place.
void kill_everywhere(const fs::path& dir, const fs::path& from, const fs::path& other, const std::string& to) {
  int kills = 0;
  for (const char* op : {"create", "write", "sync", "rename", "sync_dir", "remove"})
    for (const char* side : {"before", "after"})
      for (int n = 1;; n += n < 3 ? 1 : n) {
        const fs::path out = dir / to;
        fs::remove_all(out);
        convert_plain(other, out);
        ConvertOptions options;
        options.source = from;
        options.destination = out;
        options.overwrite = true;
        const std::string fault = std::string("kill:") + op + ":" + side + ":" + std::to_string(n);
        if (!killed(options, fault)) break;
        ++kills;
        const bool is_new = verify({from, out, {}, {}}, nullptr).differences.empty();
        const bool is_old = verify({other, out, {}, {}}, nullptr).differences.empty();
        EXPECT_TRUE(is_new != is_old) << fault;
        convert(options, real_file_ops(), nullptr);
        EXPECT_TRUE(verify({from, out, {}, {}}, nullptr).differences.empty()) << fault;
        expect_clean(dir);
      }
  EXPECT_GT(kills, 20);
}

TEST(Fault, KilledImports) {
  const TempDir dir;
  const Json config = toy_config();
  write_toy_hf(dir / "hf");
  write_hf(dir / "other", config, toy_tensors(config, DType::kBF16, 99));
  kill_everywhere(dir, dir / "hf", dir / "other", "native");
}

TEST(Fault, KilledExports) {
  const TempDir dir;
  const Json config = toy_config();
  write_toy_hf(dir / "hf", false, 2);
  write_hf(dir / "hf2", config, toy_tensors(config, DType::kBF16, 99));
  convert_plain(dir / "hf", dir / "native");
  convert_plain(dir / "hf2", dir / "native2");
  kill_everywhere(dir, dir / "native", dir / "native2", "back");
}

TEST(Fault, DiskFullLeavesTheOldDestination) {
  const TempDir dir;
  const Json config = toy_config();
  write_toy_hf(dir / "hf");
  write_hf(dir / "other", config, toy_tensors(config, DType::kBF16, 99));
  convert_plain(dir / "other", dir / "native");
  convert_plain(dir / "native", dir / "back");
  const auto before = files_of(dir);
  for (const int bytes : {0, 500, 5000, 12000}) {
    for (const auto& [from, to] : {std::pair(dir / "hf", dir / "native"), {dir / "native", dir / "back"}}) {
      ConvertOptions options;
      options.source = from;
      options.destination = to;
      options.overwrite = true;
      const auto ops = faulty_file_ops(real_file_ops(), "full:write:" + std::to_string(bytes));
      expect_error(ErrorKind::kIo, {"No space left"}, [&] { convert(options, *ops, nullptr); });
      EXPECT_EQ(files_of(dir), before);
    }
  }
}

TEST(Fault, CancelledLeavesNothing) {
  const TempDir dir;
  write_toy_hf(dir / "hf");
  ConvertOptions options;
  options.source = dir / "hf";
  options.destination = dir / "native";
  StopAfter stop(5);
  expect_error(ErrorKind::kStopped, {}, [&] { convert(options, real_file_ops(), &stop); });
  EXPECT_FALSE(fs::exists(dir / "native"));
  convert_plain(dir / "hf", dir / "native");
  options.source = dir / "native";
  options.destination = dir / "back";
  StopAfter again(5);
  expect_error(ErrorKind::kStopped, {}, [&] { convert(options, real_file_ops(), &again); });
  EXPECT_FALSE(fs::exists(dir / "back"));
  expect_clean(dir);
}

}  // namespace
}  // namespace rialto::convert
