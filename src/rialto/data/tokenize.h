// Raw text to token files, outside the training job.
#pragma once

#include <string>
#include <vector>

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"
#include "rialto/base/progress.h"

namespace rialto::data {

/// Text documents of files and folders: a .jsonl line's `json_key`, or a whole text file. Folders are walked in sorted
/// order. Held-out split: files whose relative path's XXH3-64 modulo `modulo` is 0 form the held-out part.
struct TextSource {
  std::vector<fs::path> inputs;
  std::string json_key = "text";
  std::vector<std::string> include = {};   ///< file name suffixes; empty: .txt .md .py .jsonl ...
  std::vector<std::string> exclude_dirs = {};
  int64_t held_out_modulo = 0;             ///< 0: no split
  enum class Part { kAll, kTrain, kHeldOut } part = Part::kAll;
};

struct TokenizeOptions {
  TextSource source;
  fs::path tokenizer, output_prefix;
  bool append_eod = true;                  ///< the tokenizer's end-of-text token after each document
  size_t threads = 0;
  bool overwrite = false;
};
/// Writes PREFIX.bin and PREFIX.idx. Documents keep their order whatever the number of threads. Returns counts: documents,
/// tokens, bytes of text, skipped files with reasons. Throws kConfig when the output exists, kInput with file:line.
Json tokenize(const TokenizeOptions& options, FileOps& ops, Progress* progress);

struct TrainTokenizerOptions {
  TextSource source;
  fs::path output;                         ///< folder that gets tokenizer.json, tokenizer_config.json
  int64_t vocab_size = 8192;
  bool overwrite = false;
};
Json train_tokenizer(const TrainTokenizerOptions& options, FileOps& ops, Progress* progress);

}  // namespace rialto::data
