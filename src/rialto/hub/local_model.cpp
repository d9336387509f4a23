// Choosing the files of a model, and fetching those that are not there.
#include "rialto/hub/local_model.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <numeric>
#include <thread>
#include <type_traits>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/parallel.h"
#include "rialto/hub/download.h"
#include "rialto/hub/hf_directory.h"

namespace rialto::hub {
namespace {

constexpr size_t kAtOnce = 4;  ///< files that are fetched at the same time
constexpr int kQuestionTries = 3;
constexpr std::chrono::milliseconds kQuestionWait{300};

/// Names become paths below the snapshot: plain ones only.
bool is_wanted(const std::string& name) {
  constexpr std::string_view kTemplates = "additional_chat_templates/";
  const std::string plain = name.starts_with(kTemplates) ? name.substr(kTemplates.size()) : name;
  if (plain.empty() || plain.starts_with('.') || plain.find_first_of("/\\\n") != plain.npos) return false;
  return plain.size() < name.size() || name == "config.json" || is_companion_file(name);
}

bool has_outline(const fs::path& snapshot) {
  std::error_code ignored;
  return fs::is_regular_file(snapshot / "config.json", ignored) &&
         (fs::is_regular_file(snapshot / kSafetensorsFormat.index_file, ignored) ||
          fs::is_regular_file(snapshot / kPickleFormat.index_file, ignored));
}

class Fetcher {
 public:
  Fetcher(const HubSettings& settings, const Environment& environment, const HubId& id, FileOps& ops,
          Progress& progress)
      : id_(id), cache_(settings.cache, id), client_(settings, environment, id), ops_(ops), progress_(progress) {}

  /// Makes the snapshot of `revision` complete and returns its commit.
  std::string fetch(const std::string& revision, Want want) {
    const RepositoryListing listing = retried([&] { return client_.list(revision); });
    const std::string& commit = listing.commit;
    std::vector<std::string> files;
    std::copy_if(listing.files.begin(), listing.files.end(), std::back_inserter(files), is_wanted);
    const std::vector<std::string> weights = weight_files(listing.files, [&](const std::string& index) {
      fetch_files(commit, {index});
      return shards_of_index(cache_.snapshot(commit) / index);
    });
    if (weights.empty())
      throw Error(ErrorKind::kInput, id_.repository(), "holds no weights",
                  {.want = "model.safetensors or pytorch_model.bin, or an index of such shards"});
    for (const std::string& name : weights)
      if (std::find(listing.files.begin(), listing.files.end(), name) == listing.files.end())
        throw Error(ErrorKind::kInput, id_.repository(), fmt::format("lacks '{}', which its index names", name));
    if (want == Want::kOutline && weights.back().ends_with(".index.json")) {  // which has been fetched
      fetch_files(commit, {"config.json"});
      record(commit, {});
      return commit;
    }
    files.insert(files.end(), weights.begin(), weights.end());
    fetch_files(commit, files);
    record(commit, files);
    return commit;
  }

 private:
  /// `files`: those of a complete snapshot; none: it is not. A cache that others filled may be read-only: then the next
  /// call asks again.
  void record(const std::string& commit, const std::vector<std::string>& files) {
    try {
      cache_.record_commit(ops_, id_.revision, commit);
      if (!files.empty()) cache_.record_files(ops_, commit, files);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kIo || cache_.find_commit(id_.revision) != commit) throw;
      progress_.notice(error.what());
    }
  }

  void fetch_files(const std::string& commit, const std::vector<std::string>& names) {
    std::vector<std::string> absent;
    for (const std::string& name : names)
      if (std::error_code ignored; !fs::is_regular_file(cache_.snapshot(commit) / name, ignored))
        absent.push_back(name);
    if (absent.empty()) return;
    std::vector<RemoteFile> files(absent.size());
    together(files.size(), [&](size_t i) { files[i] = retried([&] { return client_.describe(commit, absent[i]); }); });
    uint64_t total = 0;
    for (const RemoteFile& file : files) total += file.size.value_or(0);
    check_room(total);
    // Largest first: the last ones are then short.
    std::stable_sort(files.begin(), files.end(),
                     [](const RemoteFile& a, const RemoteFile& b) { return a.size.value_or(0) > b.size.value_or(0); });
    std::vector<uint64_t> done(files.size());
    std::mutex mutex;
    progress_.begin("download " + id_.repository(), total, "bytes");
    together(files.size(), [&](size_t i) {
      DownloadEvents events;
      events.check = [&] { check(); };
      events.on_bytes = [&](uint64_t bytes) {
        const std::lock_guard lock(mutex);
        done[i] = bytes;
        progress_.update(std::accumulate(done.begin(), done.end(), uint64_t{0}));
      };
      events.on_notice = [&](const std::string& line) {
        const std::lock_guard lock(mutex);
        progress_.notice(line);
      };
      download_file(client_, cache_, commit, files[i], ops_, events);
    });
    progress_.end();
  }

  void check() const {
    check_cancelled(progress_, id_.repository());
    if (failed_) throw Error(ErrorKind::kStopped, id_.repository(), "another file failed");
  }

  /// A few at the same time; the first that fails ends the others, and its error is the one that comes out.
  void together(size_t count, const std::function<void(size_t)>& body) {
    std::mutex mutex;
    std::exception_ptr first;
    failed_ = false;
    parallel_for(count, kAtOnce, [&](size_t i) {
      try {
        check();
        body(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!first) first = std::current_exception();
        failed_ = true;
      }
    });
    if (first) std::rethrow_exception(first);
  }

  template <class Ask>
  std::invoke_result_t<Ask> retried(Ask&& ask) const {
    for (int left = kQuestionTries - 1;; --left) {
      try {
        return ask();
      } catch (const HttpFailure&) {
        if (left == 0) throw;
      }
      check();
      std::this_thread::sleep_for(kQuestionWait);
    }
  }

  void check_room(uint64_t bytes) const {
    std::error_code code;
    ops_.make_dirs(cache_.folder());
    const fs::space_info space = fs::space(cache_.folder(), code);
    if (!code && space.available < bytes)
      throw Error(ErrorKind::kIo, cache_.folder().string(), "there is no room for the model",
                  {.got = fmt::format("{} MiB free", space.available >> 20),
                   .want = fmt::format("{} MiB", bytes >> 20),
                   .hint = "HF_HUB_CACHE names the folder for downloads"});
  }

  const HubId& id_;
  HubCache cache_;
  HubClient client_;
  FileOps& ops_;
  Progress& progress_;
  std::atomic<bool> failed_ = false;
};

fs::path fetch_model(const HubId& id, FileOps& ops, Progress& progress, Want want) {
  const Environment environment = [](const char* name) { return std::getenv(name); };
  const HubSettings settings = read_hub_settings(environment);
  const HubCache cache(settings.cache, id);
  const std::optional<std::string> cached = cache.find_commit(id.revision);
  const bool known = cached && fs::is_directory(cache.snapshot(*cached));
  const std::vector<std::string> missing = known ? cache.missing_files(*cached) : std::vector<std::string>{};
  if (known && missing.empty() && cache.recorded_files(*cached)) return cache.snapshot(*cached);
  if (known && want == Want::kOutline && has_outline(cache.snapshot(*cached))) return cache.snapshot(*cached);
  if (settings.offline) {
    if (known && missing.empty()) return cache.snapshot(*cached);
    const std::string what = !known ? fmt::format("revision '{}' is not in the cache", id.revision)
                                    : fmt::format("the cache lacks {}", fmt::join(missing, ", "));
    throw Error(ErrorKind::kInput, id.repository(), fmt::format("there is no such folder here, and {}", what),
                {.got = "HF_HUB_OFFLINE is set", .hint = "unset it to download, or check " + settings.cache.string()});
  }
  try {
    return cache.snapshot(Fetcher(settings, environment, id, ops, progress).fetch(cached.value_or(id.revision), want));
  } catch (const HttpFailure& failure) {
    if (!known || !missing.empty())
      throw Error(ErrorKind::kIo, id.repository(),
                  fmt::format("there is no such folder here, and fetching the model failed: {}", failure.what()));
    progress.notice(fmt::format("{}; going on with what is in the cache", failure.what()));
    return cache.snapshot(*cached);
  }
}

}  // namespace

fs::path local_model(const std::string& model, const std::string& revision, FileOps& ops, Progress* progress,
                     Want want) {
  std::error_code ignored;
  const bool is_path = fs::exists(model, ignored);
  std::optional<HubId> id = is_path ? std::nullopt : parse_hub_id(model);
  if (!revision.empty()) {
    if (!id)
      throw Error(ErrorKind::kUsage, "--revision", "is for models of the Hugging Face Hub, ORG/NAME",
                  {.got = fmt::format("'{}'{}", model, is_path ? ", a path that exists" : "")});
    if (!is_revision(revision))
      throw Error(ErrorKind::kUsage, "--revision", "cannot be a branch, a tag or a commit", {.got = revision});
    id->revision = revision;
  }
  return id ? fetch_model(*id, ops, progress ? *progress : silent(), want) : fs::path(model);
}

}  // namespace rialto::hub
