// What a run has taken out of its data so far: how much of each source, and in which order.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"
#include "rialto/data/dataset.h"

namespace rialto::data {

struct LedgerEntry {
  int64_t iteration = 0;
  int64_t samples = 0;  ///< the numbers [0, samples) have been given out
  std::string order;    ///< hash of where these samples start; see order_of
  std::vector<Consumed> sources = {};
};

/// The entry of a run that has taken the first `samples` of `dataset`. Throws kInternal when there are fewer.
LedgerEntry ledger_entry(const Dataset& dataset, int64_t iteration, int64_t samples);

/// Hash of source, document and offset of the first `samples`; of more than 4,096, of as many that lie evenly among
/// them: other seeds, weights, files and shuffles give other hashes, at the same cost however long the run is.
std::string order_of(const Dataset& dataset, int64_t samples);

/// How the data has changed between two entries of as many samples, in words; nullopt: it has not. Files may have moved
/// to another folder.
std::optional<std::string> difference(const LedgerEntry& then, const LedgerEntry& now);

Json to_json(const LedgerEntry& entry);
/// The whole lines of a ledger, oldest first; a last line that a crash cut short is left out. Throws kInput with the
/// line's number.
std::vector<LedgerEntry> read_ledger(const fs::path& path);

/// The name of the file beside a run's checkpoints.
inline constexpr const char* kLedgerName = "ledger.jsonl";

}  // namespace rialto::data
