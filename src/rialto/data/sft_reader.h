// Fine-tuning files row by row, in order, encoded by all threads, in bounded memory.
#pragma once

#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "rialto/base/progress.h"
#include "rialto/data/sft_sample.h"

namespace rialto::data {

/// What happens to a row of more tokens than there is room for: the run stops and names it; its end is cut off; it is
/// left out.
enum class Truncation { kRefuse, kRight, kDrop };

struct SftFiles {
  std::vector<fs::path> paths = {};                                ///< .jsonl, .gz or .zst behind it, .parquet
  int64_t first = 0, count = std::numeric_limits<int64_t>::max();  ///< rows of the files laid end to end
  int64_t max_tokens = 0;                                          ///< of a row; 0: any number
  Truncation truncation = Truncation::kRefuse;
  bool pairs = false;    ///< preference pairs are wanted; else they are refused
  bool details = false;  ///< fills SftItem::detail
  size_t threads = 0;    ///< 0: every CPU; never changes what comes out
};

struct SftItem {
  std::string where;      ///< "file:line"
  std::string_view line;  ///< of the file, while the item is looked at
  SftRow row;             ///< of a preference pair: the chosen answer
  SftSample sample;
  SftDetail detail;
  std::optional<SftSample> rejected;  ///< of a preference pair
  SftDetail rejected_detail;
  int64_t tokens_before_cut = 0;  ///< of the longer side
  bool cut = false;               ///< too long, under Truncation::kRight
  bool left_out = false;          ///< too long, under Truncation::kDrop
};

/// What is done with a row that cannot be used: its error, "file:line", and the line.
using BadSftRow = std::function<void(const Error& error, const std::string& where, std::string_view line)>;

/// Calls `take` for each row in order, and `bad` for those that cannot be used (null: the first one ends the run with
/// its error, kInput). Blank lines are passed over. Memory: some megabytes of lines and their tokens.
void read_sft(const SftFiles& files, const SftEncoder& encoder, const std::function<void(const SftItem&)>& take,
              const BadSftRow& bad, Progress* progress);

/// A line of a quarantine file: {"file", "row" (from 1), "kind", "what", "text" or (where that is not UTF-8) "hex"}.
std::string quarantine_line(const Error& error, const std::string& where, std::string_view line);

}  // namespace rialto::data
