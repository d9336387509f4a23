// Text documents to .bin/.idx: chunks are read by one thread, parsed and encoded by all, written in order.
#include "rialto/data/tokenize.h"

#include "rialto/base/error.h"
#include "rialto/base/hash.h"
#include "rialto/base/mapped_file.h"
#include "rialto/base/ordered_pipeline.h"
#include "rialto/base/parallel.h"
#include "rialto/data/entropy.h"
#include "rialto/data/parse_chunk.h"
#include "rialto/data/token_parts.h"
#include "rialto/formats/indexed_merge.h"
#include "rialto/hub/tokenizer.h"
#include "rialto/hub/tokenizer_file.h"

namespace rialto::data {
namespace {

/// The id that ends each document, or nothing when the caller wants none.
std::optional<int32_t> eod_of(const TokenizeOptions& options, const hub::Tokenizer& tokenizer) {
  if (!options.append_eod) return std::nullopt;
  const std::optional<std::string> token = tokenizer.eos_token();
  const std::optional<int32_t> id = token ? tokenizer.id_of(*token) : std::nullopt;
  if (!id) {
    throw Error(ErrorKind::kConfig, options.tokenizer.string(),
                token ? "names an end-of-text token that it does not have" : "names no end-of-text token",
                {.got = token.value_or(""), .hint = "set eos_token in tokenizer_config.json, or append none"});
  }
  return id;
}

/// Everything that the parts depend on: a run goes on from those of an equal plan only.
Json plan_of(const TokenizeOptions& options, const std::vector<TextPiece>& pieces, std::optional<int32_t> eod) {
  Hasher names;
  for (const TextPiece& piece : pieces) {
    const TextFile& file = piece.file;
    // stdin may be anything the next time: never the same plan
    const auto time = file.is_stdin() ? fs::file_time_type::clock::now() : fs::last_write_time(file.path);
    const std::string line = file.path.string() + '\0' + std::to_string(file.bytes) + '\0' +
                             std::to_string(time.time_since_epoch().count()) + '\0' + std::to_string(piece.begin) +
                             '\0' + std::to_string(piece.end) + '\n';
    names.update(std::as_bytes(std::span(line)));
  }
  Json plan;
  plan["format"] = 1;
  plan["inputs (paths, sizes, times of change)"] = names.hex();
  const fs::path file = hub::tokenizer_file(options.tokenizer);
  plan["tokenizer"] = hash_hex(MappedFile(file).bytes());
  if (file.extension() != ".json") plan["files beside the tokenizer"] = hub::words_beside(file);  // a pattern, say
  plan["end-of-text token"] = eod ? Json(*eod) : Json(nullptr);
  plan["json key"] = options.source.json_key;
  return plan;
}

/// Bad rows that a run writes into one of its inputs would be text to the next.
void refuse_quarantine_among(const std::vector<TextPiece>& pieces, const fs::path& quarantine) {
  if (quarantine.empty()) return;
  const auto plain = [](const fs::path& path) { return fs::absolute(path).lexically_normal(); };
  for (const TextPiece& piece : pieces)
    if (plain(piece.file.path) == plain(quarantine))
      throw Error(ErrorKind::kConfig, quarantine.string(), "is among the inputs and to be the quarantine",
                  {.hint = "keep bad rows outside of the folders that are read"});
}

void refuse_existing(const std::vector<fs::path>& outputs, bool overwrite) {
  for (const fs::path& path : outputs) {
    if (!overwrite && fs::exists(path)) {
      throw Error(ErrorKind::kConfig, path.string(), "already exists",
                  {.hint = "choose another prefix or add --overwrite"});
    }
  }
}

struct EncodedChunk {
  std::vector<int32_t> tokens = {};
  std::vector<size_t> lengths = {};
  ParsedChunk parsed;  ///< without its texts
  ReadPosition after;
  uint64_t read_bytes = 0, source_bytes = 0;
};

EncodedChunk encode(const TextChunk& chunk, const std::string& json_key, const hub::Tokenizer& tokenizer,
                    std::optional<int32_t> eod) {
  EncodedChunk out{.parsed = parse_chunk(chunk, json_key),
                   .after = chunk.after,
                   .read_bytes = chunk.read_bytes,
                   .source_bytes = chunk.bytes.size()};
  for (const std::string& text : out.parsed.texts) {
    const std::vector<int32_t> tokens = tokenizer.encode(text, false);
    out.tokens.insert(out.tokens.end(), tokens.begin(), tokens.end());
    if (eod) out.tokens.push_back(*eod);
    out.lengths.push_back(tokens.size() + (eod ? 1 : 0));
  }
  out.parsed.texts = {};
  return out;
}

void add(PartWriter& part, const EncodedChunk& chunk, bool keep_bad) {
  PartCounts& counts = part.counts();
  for (const BadRow& row : chunk.parsed.bad) {
    if (!keep_bad) refuse(row);
    part.add_bad(row);
  }
  const std::span<const int32_t> tokens = chunk.tokens;
  size_t at = 0;
  for (const size_t length : chunk.lengths) {
    part.add_document(tokens.subspan(at, length));
    at += length;
  }
  counts.files += chunk.parsed.read ? 1 : 0;
  counts.text_bytes += chunk.parsed.text_bytes;
  for (const auto& [reason, count] : chunk.parsed.skipped) counts.skipped[reason] += count;
}

/// Tokenizes what the parts do not have yet.
void make_parts(const TokenizeOptions& options, const std::vector<TextPiece>& pieces, const hub::Tokenizer& tokenizer,
                std::optional<int32_t> eod, TokenParts& parts, FileOps& ops, Progress& told) {
  ChunkReader reader(pieces, options.source.json_key, parts.position());
  std::unique_ptr<PartWriter> part;
  uint64_t part_bytes = 0;
  ReadPosition after;
  told.begin("tokenize", reader.total_bytes(), "bytes");
  OrderedPipeline<TextChunk, EncodedChunk>::run(
      options.threads > 0 ? options.threads : available_threads(), [&](TextChunk& chunk) { return reader.next(chunk); },
      [&](TextChunk& chunk) { return encode(chunk, options.source.json_key, tokenizer, eod); },
      [&](EncodedChunk& chunk) {
        check_cancelled(told, "data tokenize");
        if (!part) part = std::make_unique<PartWriter>(ops, parts, tokenizer.vocab_size());
        add(*part, chunk, !options.quarantine.empty());
        after = chunk.after;
        part_bytes += chunk.source_bytes;
        told.update(chunk.read_bytes);
        if (part_bytes < options.part_bytes) return;
        part->finish(after);
        part.reset();
        part_bytes = 0;
      });
  if (part) part->finish(after);
  told.end();
}

/// The bad rows of all parts, in order, as the quarantine file.
void write_quarantine(const fs::path& path, const TokenParts& parts, FileOps& ops) {
  if (path.has_parent_path()) ops.make_dirs(path.parent_path());
  // One name for all runs, so that what a killed one has left is written over.
  const fs::path temporary = path.parent_path() / ("." + path.filename().string() + ".tmp");
  const auto file = ops.create(temporary);
  for (size_t i = 0; i < parts.count(); ++i) {
    const MappedFile rows(parts.bad_rows_of(i));
    file->write(rows.bytes());
  }
  file->sync();
  file->close();
  ops.rename(temporary, path);
  ops.sync_dir(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

/// The parts as one pair, and the unigram entropy of its tokens on the way.
Json write_output(const fs::path& prefix, const TokenParts& parts, FileOps& ops, Progress& told) {
  std::vector<fs::path> prefixes;
  for (size_t i = 0; i < parts.count(); ++i) prefixes.push_back(parts.prefix_of(i));
  UnigramCounter counter;
  const auto merged = formats::merge_indexed(
      ops, prefixes, prefix, [&](std::span<const int32_t> tokens) { counter.add(tokens); }, told);
  const auto text_bytes = static_cast<int64_t>(parts.counts().text_bytes);
  return {{"tokens", merged.tokens},
          {"unigram", text_bytes > 0 ? unigram_report(counter.entropy(), text_bytes) : Json(nullptr)}};
}

}  // namespace

Json tokenize(const TokenizeOptions& options, FileOps& ops, Progress* progress) {
  Progress& told = progress ? *progress : silent();
  const fs::path prefix = options.output_prefix.string() + shard_suffix(options.shard);
  std::vector<fs::path> outputs{prefix.string() + ".bin", prefix.string() + ".idx"};
  if (!options.quarantine.empty()) outputs.push_back(options.quarantine);
  if (!TokenParts::exist(prefix)) refuse_existing(outputs, options.overwrite);  // else they may be our own
  const hub::Tokenizer tokenizer(options.tokenizer);
  const std::optional<int32_t> eod = eod_of(options, tokenizer);
  SkipCounts skipped;
  const std::vector<TextPiece> pieces = pieces_of(list_text_files(options.source, skipped), options.shard);
  refuse_quarantine_among(pieces, options.quarantine);
  TokenParts parts(ops, prefix, plan_of(options, pieces, eod), options.overwrite);
  const size_t kept = parts.count();
  if (options.quarantine.empty() && !parts.counts().bad.empty())
    throw Error(ErrorKind::kInput, prefix.string() + ".parts", "holds bad rows that were to be quarantined",
                {.hint = "name the --quarantine file again, or begin again with --overwrite"});

  try {
    make_parts(options, pieces, tokenizer, eod, parts, ops, told);
    if (parts.counts().documents == 0 && options.shard.count == 1) {
      throw Error(ErrorKind::kInput, "data tokenize", "no text found in the inputs",
                  {.hint = "check the paths, the suffixes and the held-out part"});
    }
  } catch (...) {
    if (parts.counts().documents == 0) parts.remove();  // nothing to go on from
    throw;
  }
  if (parts.count() == 0) PartWriter(ops, parts, tokenizer.vocab_size()).finish({});  // a shard without text
  if (!options.quarantine.empty()) write_quarantine(options.quarantine, parts, ops);
  const Json written = write_output(prefix, parts, ops, told);
  const PartCounts counts = parts.counts();
  const size_t count = parts.count();
  parts.remove();

  Json report;
  report["prefix"] = prefix.string();
  report["documents"] = counts.documents;
  report["files"] = counts.files;
  report["tokens"] = written.at("tokens");
  report["bytes"] = counts.text_bytes;
  report["vocab_size"] = tokenizer.vocab_size();
  report["eod"] = eod ? Json(*eod) : Json(nullptr);
  report["unigram"] = written.at("unigram");
  report["parts"] = count;
  report["parts_kept"] = kept;
  report["quarantined"] = Json::object();
  for (const auto& [kind, rows] : counts.bad) report["quarantined"][kind] = rows;
  for (const auto& [reason, rows] : counts.skipped) skipped[reason] += rows;
  report["skipped"] = Json::object();
  for (const auto& [reason, rows] : skipped) report["skipped"][reason] = rows;
  return report;
}

}  // namespace rialto::data
