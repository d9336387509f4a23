// Which iteration of a root to load: trackers are hints, manifests are proof.
#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/store/checkpoint.h"
#include "rialto/store/names.h"
#include "rialto/store/train_state.h"

namespace rialto::store {
namespace {

/// What a tracker names: an iteration, the folder `release`, or nothing readable (with the reason).
struct Tracker {
  std::string_view name;
  std::optional<int64_t> iteration;
  bool release = false;
  std::string problem;
  std::string target() const { return release ? std::string(kRelease) : iteration ? iter_name(*iteration) : "nothing"; }
};

std::vector<Tracker> read_trackers(const fs::path& root) {
  std::vector<Tracker> trackers;
  if (fs::exists(root / kTrackerState)) {
    Tracker& tracker = trackers.emplace_back(Tracker{kTrackerState, {}, false, ""});
    try {
      tracker.iteration = read_train_state(root / kTrackerState).step;
    } catch (const Error& error) {
      tracker.problem = error.what();
    }
  }
  if (fs::exists(root / kTrackerText)) {
    Tracker& tracker = trackers.emplace_back(Tracker{kTrackerText, {}, false, ""});
    try {
      const std::string text = read_text_file(root / kTrackerText, 4096);
      tracker.iteration = parse_number(text);
      tracker.release = text.starts_with(kRelease);
      if (!tracker.iteration && !tracker.release) tracker.problem = "it holds neither a number nor 'release'";
    } catch (const Error& error) {
      tracker.problem = error.what();
    }
  }
  return trackers;
}

/// Empty when the folder is a complete checkpoint, else why not.
std::string problem_of(const fs::path& iter_dir, CheckpointReader::Verify verify) {
  try {
    const CheckpointReader reader(iter_dir, verify);
    if (reader.has_manifest()) return "";
    const auto reaches = [&](const formats::FileSpan& span) {
      std::error_code error;
      const uint64_t size = fs::file_size(iter_dir / span.file, error);
      return !error && span.offset + span.length <= size;
    };
    for (const auto& [key, tensor] : reader.metadata().tensors)
      for (const formats::DcpChunk& chunk : tensor.chunks)
        if (!reaches(chunk.span)) return fmt::format("{} is missing or too short for '{}'", chunk.span.file, key);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

Found found_at(const fs::path& dir, int64_t iteration, std::vector<std::string> notices) {
  return {.iter_dir = dir, .iteration = iteration, .notices = std::move(notices)};
}

}  // namespace

std::vector<int64_t> list_iterations(const fs::path& root) {
  std::vector<int64_t> iterations;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(root, error))
    if (const auto number = parse_iter_name(entry.path().filename().string()); number && entry.is_directory(error))
      iterations.push_back(*number);
  std::sort(iterations.begin(), iterations.end());
  return iterations;
}

bool is_native_checkpoint(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path / kMetadata, error) || fs::exists(path / kTrackerState, error) ||
         fs::exists(path / kTrackerText, error) || fs::is_regular_file(path / kRelease / kMetadata, error) ||
         !list_iterations(path).empty();
}

std::optional<Found> find_checkpoint(const fs::path& root, std::optional<int64_t> wanted,
                                     CheckpointReader::Verify verify) {
  if (fs::is_regular_file(root / kMetadata)) {
    const int64_t iteration = CheckpointReader(root, verify).iteration();
    if (wanted && *wanted != iteration)
      throw Error(ErrorKind::kInput, root.string(), "this folder is another iteration",
                  {.got = std::to_string(iteration), .want = std::to_string(*wanted)});
    return found_at(root, iteration, {});
  }
  std::vector<int64_t> iterations = list_iterations(root);
  const std::vector<Tracker> trackers = read_trackers(root);
  const bool release = fs::is_regular_file(root / kRelease / kMetadata);
  if (iterations.empty() && trackers.empty() && !release) return {};

  if (wanted) {
    const fs::path dir = root / iter_name(*wanted);
    if (std::find(iterations.begin(), iterations.end(), *wanted) == iterations.end())
      throw Error(ErrorKind::kInput, root.string(), fmt::format("no iteration {}", *wanted),
                  {.hint = fmt::format("there are {} iterations, the newest is {}", iterations.size(),
                                       iterations.empty() ? -1 : iterations.back())});
    if (const std::string problem = problem_of(dir, verify); !problem.empty())
      throw Error(ErrorKind::kInput, dir.string(), fmt::format("not complete: {}", problem));
    return found_at(dir, *wanted, {});
  }

  std::vector<std::string> notices;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(root, error))
    if (entry.path().filename().string().starts_with(".tmp."))
      notices.push_back(fmt::format("{}: left by an interrupted save; the next save of that iteration removes it",
                                    entry.path().string()));
  for (const Tracker& tracker : trackers)
    if (!tracker.problem.empty())
      notices.push_back(fmt::format("{}: {}", (root / tracker.name).string(), tracker.problem));

  // Trackers that agree are obeyed when what they name is good.
  const bool agree = !trackers.empty() && std::all_of(trackers.begin(), trackers.end(), [&](const Tracker& tracker) {
    return tracker.problem.empty() && (tracker.target() == trackers[0].target() || tracker.release);
  });
  if (agree) {
    const Tracker& tracker = trackers.back().release ? trackers.back() : trackers[0];
    const fs::path dir = root / tracker.target();
    const std::string problem = problem_of(dir, verify);
    if (problem.empty()) {
      if (!tracker.release && !iterations.empty() && iterations.back() > *tracker.iteration)
        notices.push_back(fmt::format("{}: the tracker names iteration {}; the newer {} is not used", root.string(),
                                      *tracker.iteration, iter_name(iterations.back())));
      return found_at(dir, tracker.iteration.value_or(0), std::move(notices));
    }
    notices.push_back(fmt::format("{} is not complete: {}", dir.string(), problem));
    if (tracker.iteration) std::erase(iterations, *tracker.iteration);
  } else if (trackers.size() == 2 && trackers[0].problem.empty() && trackers[1].problem.empty()) {
    notices.push_back(fmt::format("{}: {} names {}, {} names {}", root.string(), trackers[0].name, trackers[0].target(),
                                  trackers[1].name, trackers[1].target()));
  } else if (trackers.empty()) {
    notices.push_back(fmt::format("{}: no tracker", root.string()));
  }

  std::string last_problem = notices.empty() ? "" : notices.back();
  for (auto iteration = iterations.rbegin(); iteration != iterations.rend(); ++iteration) {
    const fs::path dir = root / iter_name(*iteration);
    const std::string problem = problem_of(dir, verify);
    if (problem.empty()) {
      notices.push_back(fmt::format("{}: using the newest complete iteration, {}", root.string(), *iteration));
      return found_at(dir, *iteration, std::move(notices));
    }
    last_problem = fmt::format("{} is not complete: {}", dir.string(), problem);
    notices.push_back(last_problem);
  }
  if (release && problem_of(root / kRelease, verify).empty()) return found_at(root / kRelease, 0, std::move(notices));
  throw Error(ErrorKind::kInput, root.string(), fmt::format("no complete checkpoint here; {}", last_problem));
}

}  // namespace rialto::store
