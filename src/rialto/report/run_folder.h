// What a training run left behind: its records, its newest checkpoint, its configuration.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rialto/base/json.h"

namespace rialto::report {

namespace fs = std::filesystem;

using Series = std::vector<std::pair<int64_t, double>>;  ///< iteration, value

struct RunFolder {
  std::string name;  ///< of the folder
  fs::path path, metrics;
  /// By the records' names: "lm loss", "validation loss", "grad norm", "time/tokens_per_s", "phases/forward",
  /// "memory/mem-max-resident-gigabytes".
  std::map<std::string, Series> series;
  struct Sample {
    int64_t iteration = 0;
    std::string prompt, text;  ///< token numbers of a run without a tokenizer
  };
  std::vector<Sample> samples;                ///< what the model wrote at evaluations
  int64_t iteration = 0, tokens = 0;          ///< last recorded; recorded in all
  std::optional<fs::path> checkpoint;         ///< newest
  std::map<std::string, std::string> config;  ///< "train.train_iters" -> its value, of the newest checkpoint
  fs::file_time_type written;                 ///< when the last record was
  std::optional<double> last(const std::string& name) const;  ///< newest value of a series
};

/// `path`: the folder that a run saves to, or its metrics file. A last line cut short by a crash is left out. Throws
/// kInput when there are no records, or a line before the last is damaged.
RunFolder read_run(const fs::path& path);

/// Folders below `path` (itself included, three levels down) that hold a metrics.jsonl, sorted.
std::vector<fs::path> find_runs(const fs::path& path);

/// "finished", "active" (a record within the last minute) or "stopped".
std::string state_of(const RunFolder& run);

/// One row per run: folder, iterations, last loss, validation loss, state, checkpoint, when.
Json runs_table(const std::vector<RunFolder>& runs);
std::string runs_text(const Json& table);

}  // namespace rialto::report
