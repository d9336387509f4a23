// Text documents to .bin/.idx: a batch is read, encoded by all threads, written in order.
#include "rialto/data/tokenize.h"

#include "rialto/base/error.h"
#include "rialto/base/parallel.h"
#include "rialto/data/document_reader.h"
#include "rialto/data/entropy.h"
#include "rialto/formats/indexed_dataset.h"
#include "rialto/hub/special_tokens.h"
#include "rialto/hub/tokenizer.h"

namespace rialto::data {
namespace {

constexpr uint64_t kBatchBytesPerThread = 4u << 20;
constexpr size_t kBatchDocuments = 1u << 16;

/// The id that ends each document, or nothing when the caller wants none.
std::optional<int32_t> eod_of(const TokenizeOptions& options, const hub::Tokenizer& tokenizer) {
  if (!options.append_eod) return std::nullopt;
  const fs::path dir = fs::is_directory(options.tokenizer) ? options.tokenizer : options.tokenizer.parent_path();
  const std::optional<std::string> token = hub::eos_token(dir);
  const std::optional<int32_t> id = token ? tokenizer.id_of(*token) : std::nullopt;
  if (!id) {
    throw Error(ErrorKind::kConfig, options.tokenizer.string(),
                token ? "names an end-of-text token that it does not have" : "names no end-of-text token",
                {.got = token.value_or(""), .hint = "set eos_token in tokenizer_config.json, or append none"});
  }
  return id;
}

void refuse_existing(const fs::path& prefix, bool overwrite) {
  for (const char* suffix : {".bin", ".idx"}) {
    const fs::path path = prefix.string() + suffix;
    if (!overwrite && fs::exists(path)) {
      throw Error(ErrorKind::kConfig, path.string(), "already exists",
                  {.hint = "choose another prefix or add --overwrite"});
    }
  }
}

/// Fills `batch` with the next documents; false when there are none.
bool read_batch(DocumentReader& reader, uint64_t max_bytes, std::vector<std::string>& batch) {
  batch.clear();
  uint64_t bytes = 0;
  std::string text;
  while (bytes < max_bytes && batch.size() < kBatchDocuments && reader.next(text)) {
    bytes += text.size();
    batch.push_back(std::move(text));
  }
  return !batch.empty();
}

}  // namespace

Json tokenize(const TokenizeOptions& options, FileOps& ops, Progress* progress) {
  Progress& told = progress ? *progress : silent();
  refuse_existing(options.output_prefix, options.overwrite);
  const hub::Tokenizer tokenizer(options.tokenizer);
  const std::optional<int32_t> eod = eod_of(options, tokenizer);
  SkipCounts skipped;
  DocumentReader reader(list_text_files(options.source, skipped), options.source, skipped);
  if (options.output_prefix.has_parent_path()) ops.make_dirs(options.output_prefix.parent_path());
  formats::IndexedDatasetWriter writer(ops, options.output_prefix, tokenizer.vocab_size());

  const size_t threads = options.threads > 0 ? options.threads : available_threads();
  std::vector<std::string> batch;
  std::vector<std::vector<int32_t>> tokens;
  UnigramCounter counter;
  told.begin("tokenize", reader.total_bytes(), "bytes");
  while (read_batch(reader, kBatchBytesPerThread * threads, batch)) {
    check_cancelled(told, "data tokenize");
    tokens.assign(batch.size(), {});
    parallel_for(batch.size(), threads, [&](size_t i) {
      tokens[i] = tokenizer.encode(batch[i], false);
      if (eod) tokens[i].push_back(*eod);
    });
    for (const std::vector<int32_t>& document : tokens) {
      writer.add_document(document);
      counter.add(document);
    }
    told.update(reader.bytes_read());
  }
  if (writer.num_documents() == 0) {
    throw Error(ErrorKind::kInput, "data tokenize", "no text found in the inputs",
                {.hint = "check the paths, the suffixes and the held-out part"});
  }
  writer.finish();
  told.end();

  Json report;
  report["prefix"] = options.output_prefix.string();
  report["documents"] = writer.num_documents();
  report["files"] = reader.files_read();
  report["tokens"] = writer.num_tokens();
  report["bytes"] = reader.text_bytes();
  report["vocab_size"] = tokenizer.vocab_size();
  report["eod"] = eod ? Json(*eod) : Json(nullptr);
  report["unigram"] = unigram_report(counter.entropy(), static_cast<int64_t>(reader.text_bytes()));
  report["skipped"] = Json::object();
  for (const auto& [reason, count] : skipped) report["skipped"][reason] = count;
  return report;
}

}  // namespace rialto::data
