// The fault seam: kills the process at one counted operation, or runs out of space, exactly where a test asks.
#include <atomic>
#include <charconv>
#include <csignal>
#include <utility>

#include "rialto/base/error.h"
#include "rialto/base/file_ops.h"
#include "rialto/base/io_error.h"

namespace rialto {

namespace {

struct Fault {
  bool full = false;  ///< runs out of space; otherwise kills
  FileOp op = FileOp::kWrite;
  bool after = false;
  uint64_t limit = 0;  ///< which operation (from 1), or how many bytes fit
};

/// The plan and how far it got. Operations may come from several threads.
class Fuse {
 public:
  explicit Fuse(Fault fault) : fault_(fault) {}

  template <class Action>
  void around(FileOp op, Action&& action) {
    const bool mine = !fault_.full && op == fault_.op && count_.fetch_add(1) + 1 == fault_.limit;
    if (mine && !fault_.after) std::raise(SIGKILL);
    std::forward<Action>(action)();
    if (mine) std::raise(SIGKILL);
  }

  /// How many of `size` bytes still fit.
  uint64_t room_for(uint64_t size) {
    if (!fault_.full) return size;
    const uint64_t before = count_.fetch_add(size);
    if (before >= fault_.limit) return 0;
    return std::min(size, fault_.limit - before);
  }

 private:
  Fault fault_;
  std::atomic<uint64_t> count_{0};
};

class FaultyWriteFile final : public WriteFile {
 public:
  FaultyWriteFile(std::unique_ptr<WriteFile> inner, fs::path path, std::shared_ptr<Fuse> fuse)
      : inner_(std::move(inner)), path_(std::move(path)), fuse_(std::move(fuse)) {}

  void write(std::span<const std::byte> bytes) override {
    fuse_->around(FileOp::kWrite, [&] {
      inner_->write(fitting(bytes));
      check_full(bytes);
    });
  }
  void write_at(uint64_t offset, std::span<const std::byte> bytes) override {
    fuse_->around(FileOp::kWrite, [&] {
      inner_->write_at(offset, fitting(bytes));
      check_full(bytes);
    });
  }
  uint64_t position() const override { return inner_->position(); }
  void sync() override {
    fuse_->around(FileOp::kSync, [&] { inner_->sync(); });
  }
  void close() override { inner_->close(); }

 private:
  std::span<const std::byte> fitting(std::span<const std::byte> bytes) {
    room_ = fuse_->room_for(bytes.size());
    return bytes.first(static_cast<size_t>(room_));
  }
  void check_full(std::span<const std::byte> bytes) const {
    if (room_ < bytes.size()) throw io_error(path_, "write", ENOSPC);
  }

  std::unique_ptr<WriteFile> inner_;
  fs::path path_;
  std::shared_ptr<Fuse> fuse_;
  uint64_t room_ = 0;
};

class FaultyFileOps final : public FileOps {
 public:
  FaultyFileOps(FileOps& inner, Fault fault) : inner_(inner), fuse_(std::make_shared<Fuse>(fault)) {}

  std::unique_ptr<WriteFile> create(const fs::path& path) override {
    std::unique_ptr<WriteFile> file;
    fuse_->around(FileOp::kCreate, [&] { file = inner_.create(path); });
    return std::make_unique<FaultyWriteFile>(std::move(file), path, fuse_);
  }
  std::unique_ptr<WriteFile> append(const fs::path& path) override {
    std::unique_ptr<WriteFile> file;
    fuse_->around(FileOp::kCreate, [&] { file = inner_.append(path); });
    return std::make_unique<FaultyWriteFile>(std::move(file), path, fuse_);
  }
  void link(const fs::path& target, const fs::path& path) override {
    fuse_->around(FileOp::kCreate, [&] { inner_.link(target, path); });
  }
  void rename(const fs::path& from, const fs::path& to) override {
    fuse_->around(FileOp::kRename, [&] { inner_.rename(from, to); });
  }
  void exchange(const fs::path& a, const fs::path& b) override {
    fuse_->around(FileOp::kRename, [&] { inner_.exchange(a, b); });
  }
  void sync_dir(const fs::path& path) override {
    fuse_->around(FileOp::kSyncDir, [&] { inner_.sync_dir(path); });
  }
  void remove_all(const fs::path& path) override {
    fuse_->around(FileOp::kRemove, [&] { inner_.remove_all(path); });
  }
  void make_dirs(const fs::path& path) override {
    fuse_->around(FileOp::kMakeDir, [&] { inner_.make_dirs(path); });
  }

 private:
  FileOps& inner_;
  std::shared_ptr<Fuse> fuse_;
};

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t colon; (colon = text.find(':')) != text.npos; text.remove_prefix(colon + 1))
    words.push_back(text.substr(0, colon));
  words.push_back(text);
  return words;
}

Fault parse_fault(std::string_view spec) {
  const auto wrong = [&] {
    return Error(
        ErrorKind::kUsage, "file fault", "unknown specification",
        {.got = "'" + std::string(spec) + "'", .want = "kill:<operation>:<before|after>:<n> or full:write:<bytes>"});
  };
  const std::vector<std::string_view> words = split(spec);
  Fault fault;
  fault.full = words[0] == "full";
  if (!(fault.full && words.size() == 3) && !(words[0] == "kill" && words.size() == 4)) throw wrong();
  bool known = false;
  for (const FileOp op : {FileOp::kCreate, FileOp::kWrite, FileOp::kSync, FileOp::kRename, FileOp::kSyncDir,
                          FileOp::kRemove, FileOp::kMakeDir}) {
    if (words[1] != name_of(op)) continue;
    fault.op = op;
    known = true;
  }
  if (!known || (fault.full && fault.op != FileOp::kWrite)) throw wrong();
  if (!fault.full) {
    fault.after = words[2] == "after";
    if (!fault.after && words[2] != "before") throw wrong();
  }
  const std::string_view number = words.back();
  const auto [end, code] = std::from_chars(number.data(), number.data() + number.size(), fault.limit);
  if (code != std::errc() || end != number.data() + number.size() || (!fault.full && fault.limit == 0)) throw wrong();
  return fault;
}

}  // namespace

std::unique_ptr<FileOps> faulty_file_ops(FileOps& inner, std::string_view spec) {
  return std::make_unique<FaultyFileOps>(inner, parse_fault(spec));
}

}  // namespace rialto
