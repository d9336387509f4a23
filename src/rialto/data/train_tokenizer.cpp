// Trains a byte-level BPE on text files and writes it as a folder that transformers loads.
#include "rialto/base/error.h"
#include "rialto/data/document_reader.h"
#include "rialto/data/tokenize.h"
#include "rialto/hub/tokenizer.h"

namespace rialto::data {
namespace {

constexpr const char* kEndOfText = "<|endoftext|>";

/// tokenizer_config.json as transformers writes it for a plain fast tokenizer. The huge number is its "no limit".
Json tokenizer_config() {
  Json config;
  config["added_tokens_decoder"]["0"] = {{"content", kEndOfText}, {"lstrip", false},      {"normalized", false},
                                         {"rstrip", false},       {"single_word", false}, {"special", true}};
  config["clean_up_tokenization_spaces"] = false;
  config["eos_token"] = kEndOfText;
  config["model_max_length"] = 1e30;
  config["tokenizer_class"] = "PreTrainedTokenizerFast";
  return config;
}

}  // namespace

Json train_tokenizer(const TrainTokenizerOptions& options, FileOps& ops, Progress* progress) {
  Progress& told = progress ? *progress : silent();
  const fs::path model_file = options.output / "tokenizer.json";
  const fs::path config_file = options.output / "tokenizer_config.json";
  for (const fs::path& path : {model_file, config_file}) {
    if (!options.overwrite && fs::exists(path)) {
      throw Error(ErrorKind::kConfig, path.string(), "already exists",
                  {.hint = "choose another folder or add --overwrite"});
    }
  }
  SkipCounts skipped;
  DocumentReader reader(list_text_files(options.source, skipped), options.source, skipped);
  told.begin("count words", reader.total_bytes(), "bytes");
  const hub::BpeTrainOptions train{
      .vocab_size = options.vocab_size, .special_tokens = {kEndOfText}, .threads = options.threads};
  const std::string json = hub::train_bpe(train, [&](std::string& text) {
    check_cancelled(told, "data train-tokenizer");
    told.update(reader.bytes_read());
    return reader.next(text);
  });
  told.end();
  if (reader.documents() == 0) {
    throw Error(ErrorKind::kInput, "data train-tokenizer", "no text found in the inputs",
                {.hint = "check the paths, the suffixes and the held-out part"});
  }
  ops.make_dirs(options.output);
  write_file_atomically(ops, config_file, to_python_json(tokenizer_config()) + "\n");
  write_file_atomically(ops, model_file, json);

  const int64_t vocab = hub::Tokenizer(model_file).vocab_size();
  if (vocab < options.vocab_size)
    told.notice("the corpus repeats too little for the vocabulary asked for: " + std::to_string(vocab) + " tokens");
  Json report;
  report["output"] = options.output.string();
  report["documents"] = reader.documents();
  report["files"] = reader.files_read();
  report["bytes"] = reader.text_bytes();
  report["vocab_size"] = vocab;
  report["skipped"] = Json::object();
  for (const auto& [reason, count] : skipped) report["skipped"][reason] = count;
  return report;
}

}  // namespace rialto::data
