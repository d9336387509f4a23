// Killed at any operation of a save, or out of space: what was committed before is still found and good.
#include <sys/wait.h>

#include "tests/unit/store/toy.h"

namespace rialto::store {
namespace {

/// Saves iteration 2 in a child process that dies as `fault` says. False when the save ended before the fault.
bool killed_while_saving(const fs::path& root, const std::string& fault, bool replace = false) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto ops = faulty_file_ops(real_file_ops(), fault);
    write_toy(root, replace ? 1 : 2, 9, *ops, replace);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

TEST(Fault, KilledAtEveryOperation) {
  int kills = 0;
  for (const char* op : {"create", "write", "sync", "rename", "sync_dir", "make_dir", "remove"})
    for (const char* side : {"before", "after"})
      for (int n = 1;; n += 1 + n / 4) {
        const TempDir root;
        write_toy(root, 1);
        const std::string fault = std::string("kill:") + op + ":" + side + ":" + std::to_string(n);
        if (!killed_while_saving(root, fault)) break;
        ++kills;
        const auto found = find_checkpoint(root, {}, CheckpointReader::Verify::kHashes);
        ASSERT_TRUE(found) << fault;
        ASSERT_TRUE(found->iteration == 1 || found->iteration == 2) << fault;
        expect_toy(found->iter_dir, found->iteration == 2 ? 9 : 0);
        write_toy(root, 3);  // and the next save goes on
        EXPECT_EQ(find_checkpoint(root)->iteration, 3) << fault;
      }
  EXPECT_GT(kills, 40);
}

TEST(Fault, KilledWhileReplacing) {
  int kills = 0;
  for (const char* side : {"before", "after"})
    for (int n = 1;; ++n) {
      const TempDir root;
      write_toy(root, 1);
      const std::string fault = std::string("kill:rename:") + side + ":" + std::to_string(n);
      if (!killed_while_saving(root, fault, true)) break;
      ++kills;
      const auto found = find_checkpoint(root, {}, CheckpointReader::Verify::kHashes);
      ASSERT_TRUE(found) << fault;
      const bool fresh = n > 1 || std::string(side) == "after";
      expect_toy(found->iter_dir, fresh ? 9 : 0);
    }
  EXPECT_GE(kills, 6);
}

TEST(Fault, DiskFullLeavesTheOldOne) {
  for (const int bytes : {0, 100, 3000, 20000}) {
    const TempDir root;
    write_toy(root, 1);
    const auto ops = faulty_file_ops(real_file_ops(), "full:write:" + std::to_string(bytes));
    expect_error(ErrorKind::kIo, {"No space left"}, [&] { write_toy(root, 2, 9, *ops); });
    EXPECT_FALSE(fs::exists(root / ".tmp.iter_0000002"));
    EXPECT_EQ(find_checkpoint(root)->iteration, 1);
    expect_toy(root / "iter_0000001");
  }
}

}  // namespace
}  // namespace rialto::store
