// rialto data train-tokenizer | tokenize | merge | ledger; pack is in pack_command.cpp, view and check in
// sft_command.cpp
#include <regex>

#include <fmt/format.h>

#include "rialto/cli/data_commands.h"
#include "rialto/data/ledger.h"
#include "rialto/data/merge.h"
#include "rialto/data/tokenize.h"

namespace rialto::cli {
namespace {

/// Options that choose texts, the same for both commands.
struct TextOptions {
  std::vector<std::string> inputs;
  data::TextSource source;
  std::string part = "all";

  void add_to(CLI::App& command) {
    command
        .add_option("inputs", inputs,
                    "Text, .jsonl and .parquet files, with .gz or .zst, folders, patterns, - for stdin")
        ->required();
    command.add_option("--json-key", source.json_key, "Key of the text in a .jsonl line, its column in .parquet")
        ->capture_default_str();
    command
        .add_option("--include", source.include,
                    "In folders, only files with this suffix (repeatable; default: the usual text suffixes)")
        ->allow_extra_args(false)
        ->take_all();
    command
        .add_option("--exclude-dir", source.exclude_dirs, "In folders, leave out subfolders of this name (repeatable)")
        ->allow_extra_args(false)
        ->take_all();
    command
        .add_option("--held-out-modulo", source.held_out_modulo, "Hold out the files whose path's hash modulo N is 0")
        ->check(CLI::NonNegativeNumber);
    command.add_option("--part", part, "all, train (without the held-out files) or held-out")
        ->check(CLI::IsMember({"all", "train", "held-out"}))
        ->capture_default_str();
  }
  data::TextSource made() const {
    data::TextSource made = source;
    made.inputs.assign(inputs.begin(), inputs.end());
    made.part = part == "train"      ? data::TextSource::Part::kTrain
                : part == "held-out" ? data::TextSource::Part::kHeldOut
                                     : data::TextSource::Part::kAll;
    return made;
  }
};

struct TrainOptions {
  TextOptions text;
  data::TrainTokenizerOptions train;
  std::string output;
  bool json = false;
};

struct TokenizeOptions {
  TextOptions text;
  data::TokenizeOptions tokenize;
  std::string tokenizer, prefix, shard = "1/1", quarantine;
  bool json = false, no_eod = false;
};

/// "name value" lines.
std::string lines_of(const Json& report) {
  std::string text;
  for (const auto& [key, value] : report.items())
    if (!(value.is_object() && value.empty()))
      text += fmt::format("{:<12} {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
  return text;
}

void add_train_tokenizer(CLI::App& data, Context& context) {
  CLI::App* command = data.add_subcommand("train-tokenizer", "Train a byte-level BPE tokenizer on text");
  const auto options = std::make_shared<TrainOptions>();
  options->text.add_to(*command);
  command->add_option("--output", options->output, "Folder for tokenizer.json and tokenizer_config.json")->required();
  command->add_option("--vocab-size", options->train.vocab_size, "Tokens, special ones included")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--threads", options->train.threads, "Threads (default: every CPU)");
  command->add_flag("--overwrite", options->train.overwrite, "Replace an existing tokenizer");
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer("Example:\n  rialto data train-tokenizer texts/ --output tokenizer --vocab-size 8192");
  command->callback([options, &context] {
    context.action = [options, &context] {
      options->train.source = options->text.made();
      options->train.output = options->output;
      const Json report = data::train_tokenizer(options->train, *context.ops, context.progress);
      print_report(options->json, report, lines_of(report));
      return 0;
    };
  });
}

void add_tokenize(CLI::App& data, Context& context) {
  CLI::App* command = data.add_subcommand("tokenize", "Turn text into Megatron's .bin/.idx token files");
  const auto options = std::make_shared<TokenizeOptions>();
  options->text.add_to(*command);
  command->add_option("--tokenizer", options->tokenizer, "Folder with tokenizer.json or *.tiktoken, or the file")
      ->required();
  command->add_option("--output-prefix", options->prefix, "Writes PREFIX.bin and PREFIX.idx")->required();
  command->add_option("--threads", options->tokenize.threads,
                      "Threads (default: every CPU); the files do not depend on it");
  command->add_option("--shard", options->shard, "i/n: the i-th of n machines' share, into PREFIX.i-of-n (see merge)")
      ->check([](const std::string& text) {
        return std::regex_match(text, std::regex("[1-9][0-9]{0,8}/[1-9][0-9]{0,8}")) ? "" : "want i/n";
      });
  command->add_option("--quarantine", options->quarantine, "Put bad rows into this file and go on (default: stop)");
  command->add_option("--part-bytes", options->tokenize.part_bytes, "Text that a killed run repeats at most")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--no-eod", options->no_eod, "No end-of-text token behind each document");
  command->add_flag("--overwrite", options->tokenize.overwrite, "Replace existing files");
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer(
      "Example:\n  rialto data tokenize texts/ --tokenizer tokenizer --output-prefix data/train --held-out-modulo 20 "
      "--part train");
  command->callback([options, &context] {
    context.action = [options, &context] {
      options->tokenize.source = options->text.made();
      options->tokenize.tokenizer = options->tokenizer;
      options->tokenize.output_prefix = options->prefix;
      options->tokenize.append_eod = !options->no_eod;
      options->tokenize.quarantine = options->quarantine;
      const size_t slash = options->shard.find('/');
      options->tokenize.shard = {std::stoll(options->shard.substr(0, slash)),
                                 std::stoll(options->shard.substr(slash + 1))};
      const Json report = data::tokenize(options->tokenize, *context.ops, context.progress);
      print_report(options->json, report, lines_of(report));
      return 0;
    };
  });
}

void add_merge(CLI::App& data, Context& context) {
  struct Options {
    std::vector<std::string> inputs;
    std::string prefix;
    bool json = false, overwrite = false;
  };
  CLI::App* command = data.add_subcommand("merge", "Join .bin/.idx token files, as the shards of one corpus");
  const auto options = std::make_shared<Options>();
  command->add_option("inputs", options->inputs, "Prefixes in order, or their .idx files")->required();
  command->add_option("--output-prefix", options->prefix, "Writes PREFIX.bin and PREFIX.idx")->required();
  command->add_flag("--overwrite", options->overwrite, "Replace existing files");
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer("Example:\n  rialto data merge data/train.*-of-16.idx --output-prefix data/train");
  command->callback([options, &context] {
    context.action = [options, &context] {
      const Json report =
          data::merge(options->inputs, options->prefix, options->overwrite, *context.ops, context.progress);
      print_report(options->json, report, lines_of(report));
      return 0;
    };
  });
}

/// A run's ledger: the newest entry in full, and how far each save was.
Json ledger_report(const fs::path& run) {
  const std::vector<data::LedgerEntry> entries = data::read_ledger(run / data::kLedgerName);
  if (entries.empty())
    throw Error(ErrorKind::kInput, (run / data::kLedgerName).string(), "has no entry",
                {.want = "a run that has saved"});
  Json report = data::to_json(entries.back());
  for (const data::LedgerEntry& entry : entries)
    report["saves"].push_back({{"iteration", entry.iteration}, {"samples", entry.samples}});
  return report;
}

std::string ledger_text(const Json& report) {
  std::string text =
      fmt::format("iteration {}, {} samples\n{:>12}  {:>14}  {:>10}  source\n", report["iteration"].get<int64_t>(),
                  report["samples"].get<int64_t>(), "samples", "tokens", "epochs");
  for (const Json& source : report["sources"])
    text += fmt::format("{:>12}  {:>14}  {:>10.4f}  {}\n", source["samples"].get<int64_t>(),
                        source["tokens"].get<int64_t>(), source["epochs"].get<double>(),
                        source["source"].get<std::string>());
  return text;
}

void add_ledger(CLI::App& data, Context& context) {
  struct Options {
    std::string run;
    bool json = false;
  };
  CLI::App* command = data.add_subcommand("ledger", "Say what a run has taken out of its data so far");
  const auto options = std::make_shared<Options>();
  command->add_option("run", options->run, "folder that a run saves to")->required();
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer("Example:\n  rialto data ledger runs/a");
  command->callback([options, &context] {
    context.action = [options] {
      const Json report = ledger_report(options->run);
      print_report(options->json, report, ledger_text(report));
      return 0;
    };
  });
}

}  // namespace

void add_data(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("data", "Prepare training data, outside the training job");
  command->require_subcommand(1);
  add_train_tokenizer(*command, context);
  add_tokenize(*command, context);
  add_merge(*command, context);
  add_data_pack(*command, context);
  add_data_mock(*command, context);
  add_data_view(*command, context);
  add_data_check(*command, context);
  add_ledger(*command, context);
}

}  // namespace rialto::cli
