// The download loop.
#include "rialto/hub/download.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "rialto/hub/file_lock.h"
#include "rialto/hub/sha256.h"

namespace rialto::hub {
namespace {

constexpr int kMaxTries = 5;
constexpr std::chrono::milliseconds kFirstWait{250};  ///< doubled with every try that brings nothing
constexpr size_t kBlockBytes = 1u << 20;

class Download {
 public:
  Download(const HubClient& client, const RemoteFile& file, fs::path path, std::string where, FileOps& ops,
           const DownloadEvents& events)
      : client_(client), file_(file), path_(std::move(path)), where_(std::move(where)), ops_(ops), events_(events) {}

  /// Leaves the whole, checked file at `path`.
  void run() {
    // Only what a SHA-256 will prove is gone on with: after a crash of the machine a part may hold anything.
    std::error_code none;
    const uint64_t found = fs::file_size(path_, none);
    if (!none && file_.has_sha256() && file_.size && found <= *file_.size) begin_ = found;
    const bool resumed = begin_ > 0;
    fetch_all();
    if (is_right()) return;
    if (resumed) {  // what an earlier program left behind may be the damaged part
      begin_ = 0;
      fetch_all();
      if (is_right()) return;
    }
    ops_.remove_all(path_);
    throw Error(ErrorKind::kInput, where_, "what the server sent is damaged: its SHA-256 differs",
                {.got = got_, .want = file_.etag, .hint = "try again"});
  }

 private:
  void fetch_all() {
    uint64_t best = begin_;
    std::chrono::milliseconds wait = kFirstWait;
    for (int tries = 1;; ++tries) {
      std::string failure = "the body ends early";
      try {
        fetch_once();
        if (!file_.size || begin_ == *file_.size) return;
      } catch (const HttpFailure& error) {
        failure = error.what();
      }
      if (begin_ > best) {
        best = begin_;
        tries = 1;
        wait = kFirstWait;
      }
      if (tries >= kMaxTries)
        throw HttpFailure(ErrorKind::kIo, where_,
                          fmt::format("fetching stopped at byte {}, again and again: {}", begin_, failure),
                          {.hint = "what is here is kept; try again later"});
      for (const auto until = std::chrono::steady_clock::now() + wait; std::chrono::steady_clock::now() < until;) {
        events_.check();
        std::this_thread::sleep_for(std::chrono::milliseconds(25));
      }
      wait *= 2;
    }
  }

  /// One exchange; begin_ is how far the file has come afterwards.
  void fetch_once() {
    if (file_.size && begin_ == *file_.size && begin_ > 0) return;
    std::unique_ptr<WriteFile> out;
    const auto on_start = [&](uint64_t begin) {
      out = begin > 0 ? ops_.append(path_) : ops_.create(path_);
      begin_ = out->position();
      events_.on_bytes(begin_);
    };
    const auto sink = [&](std::span<const std::byte> bytes) {
      events_.check();
      if (file_.size && bytes.size() > *file_.size - begin_)
        throw Error(ErrorKind::kInput, where_, "the server sends more than it announced",
                    {.want = fmt::format("{} bytes", *file_.size)});
      out->write(bytes);
      begin_ += bytes.size();
      events_.on_bytes(begin_);
      return true;
    };
    client_.get(file_, begin_, on_start, sink);
    out->sync();
    out->close();
  }

  bool is_right() {
    if (!file_.has_sha256()) return true;
    const ReadFile file(path_);
    Sha256 hash;
    std::vector<std::byte> block(kBlockBytes);
    for (uint64_t at = 0; at < file.size(); at += block.size()) {
      events_.check();
      block.resize(static_cast<size_t>(std::min<uint64_t>(kBlockBytes, file.size() - at)));
      file.read_at(at, block);
      hash.update(block);
    }
    got_ = hash.hex();
    return got_ == file_.etag;
  }

  const HubClient& client_;
  const RemoteFile& file_;
  fs::path path_;
  std::string where_;
  FileOps& ops_;
  const DownloadEvents& events_;
  uint64_t begin_ = 0;
  std::string got_;
};

}  // namespace

void download_file(const HubClient& client, const HubCache& cache, const std::string& commit, const RemoteFile& file,
                   FileOps& ops, const DownloadEvents& events) {
  const fs::path blob = cache.blob(file.etag), lock = cache.lock_path(file.etag);
  ops.make_dirs(blob.parent_path());
  ops.make_dirs(lock.parent_path());
  const FileLock held(
      lock, [&] { events.on_notice(fmt::format("waiting for another process, which fetches {}", file.name)); },
      events.check);
  if (std::error_code ignored; !fs::exists(blob, ignored)) {
    const fs::path incomplete = blob.string() + ".incomplete";
    Download(client, file, incomplete, file.url, ops, events).run();
    ops.rename(incomplete, blob);
    ops.sync_dir(blob.parent_path());
  }
  if (file.size) events.on_bytes(*file.size);
  cache.link(ops, commit, file.name, file.etag);
}

}  // namespace rialto::hub
