// Fine-tuning files looked over before they are paid for.
#pragma once

#include "rialto/data/sft_reader.h"

namespace rialto::data {

struct SftCheck {
  SftFiles files;
  SftOptions encoding;
  size_t most_listed = 20;   ///< findings that are named; all are counted
  fs::path quarantine = {};  ///< file that gets the rows that cannot be used; empty: none
};

/// Findings by kind: `bad` rows cannot be used (they cannot be read, the template complains, nothing is trained);
/// `all_trained` train every token (outside LossMode::kFull); `truncated` have more tokens than files.max_tokens;
/// `duplicates` have the tokens and weights of an earlier row; `double_bos` begin with the BOS twice; `tools_ignored`
/// have tools that the template does not render (looked for in the first thousand); `template` is a marker of the
/// template that the tokenizer cuts into pieces while it knows others; `no_end` that no answer ends with a special
/// token, so that the model would not learn to stop.
/// {"rows", "pairs", "tokens", "trained", "weight", "lengths": {"shortest", "mean", "median", "p95", "longest"},
///  "unigram_nats": the entropy of the trained tokens' frequencies, which the loss should come below soon,
///  "uniform_nats": that of an untrained model (ln of the vocabulary), "findings": {kind: count}, "listed":
///  ["[file:line] what"]}.
/// Memory: a hash of each row, and counts. Throws kConfig, kIo; kInput when a file cannot be read or has no rows.
Json check_sft(const SftCheck& check, FileOps& ops, Progress* progress);

}  // namespace rialto::data
