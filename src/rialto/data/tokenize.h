// Raw text to token files, outside the training job.
#pragma once

#include <string>
#include <vector>

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"
#include "rialto/base/progress.h"

namespace rialto::data {

/// Text documents of files, folders and patterns: a .jsonl line's `json_key`, the column of that name in a .parquet
/// file, or a whole text file; .gz and .zst are unpacked, "-" is JSON lines on stdin. Folders are walked in sorted
/// order. Held-out split: files whose path's hash modulo `held_out_modulo` is 0 form the held-out part. The path is
/// relative to the input folder it was found in ("json/decoder.py"; the name alone for an input that is a file), the
/// hash its CRC-32 (Python: zlib.crc32), so the split is the same on every machine.
struct TextSource {
  std::vector<fs::path> inputs;
  std::string json_key = "text";
  std::vector<std::string> include = {};       ///< file name suffixes looked for in folders; empty: default_suffixes()
  std::vector<std::string> exclude_dirs = {};  ///< folder names left out at any depth below an input
  int64_t held_out_modulo = 0;                 ///< 0: no split
  enum class Part { kAll, kTrain, kHeldOut } part = Part::kAll;
};

/// .txt .md .rst .py .c .h .cc .cpp .jsonl, .jsonl and .txt with .gz or .zst behind, .parquet
const std::vector<std::string>& default_suffixes();

/// One of several machines that share the work, counted from 1.
struct Shard {
  int64_t index = 1, count = 1;
};

struct TokenizeOptions {
  TextSource source;
  fs::path tokenizer, output_prefix;
  bool append_eod = true;  ///< the tokenizer's end-of-text token after each document
  size_t threads = 0;
  bool overwrite = false;
  Shard shard = {};                ///< of several, PREFIX gets the suffix ".i-of-n"
  fs::path quarantine = {};        ///< gets the bad rows; empty: the first one ends the run
  uint64_t part_bytes = 64 << 20;  ///< text between two points that a killed run can go on from
};
/// Writes PREFIX.bin and PREFIX.idx. Documents keep their order whatever the number of threads; memory does not grow
/// with the corpus; the shards' files, merged in order, are those of one machine. Work is kept in PREFIX.parts until
/// the end: a run that was killed goes on behind its last finished part, with the same files as if nothing had
/// happened. Tokens are the tokenizer's own, without its template (no BOS), as Megatron's preprocessing makes them.
/// Returns {"prefix", "documents", "files", "tokens", "bytes" (of UTF-8 text), "vocab_size", "eod", "unigram"
/// (see entropy.h), "parts", "parts_kept" (from a run before), "quarantined": {kind: rows}, "skipped": {reason:
/// count}}. Throws kConfig when the output exists, is being written by another process or was begun from other inputs,
/// when an input is named twice or is the quarantine, or no end-of-text token is known; kInput with file:line for a bad
/// row.
Json tokenize(const TokenizeOptions& options, FileOps& ops, Progress* progress);

struct TrainTokenizerOptions {
  TextSource source;
  fs::path output;  ///< folder that gets tokenizer.json, tokenizer_config.json
  int64_t vocab_size = 8192;
  size_t threads = 0;
  bool overwrite = false;
};
/// Trains a byte-level BPE whose end-of-text token is `<|endoftext|>` and writes a folder that transformers'
/// AutoTokenizer loads. The same texts give the same bytes. Returns {"documents", "files", "bytes", "vocab_size",
/// "skipped"}.
Json train_tokenizer(const TrainTokenizerOptions& options, FileOps& ops, Progress* progress);

}  // namespace rialto::data
