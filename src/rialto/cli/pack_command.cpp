// rialto data pack
#include <map>

#include <fmt/format.h>

#include "rialto/cli/data_commands.h"
#include "rialto/data/packed_file.h"
#include "rialto/data/row_packer.h"
#include "rialto/data/sft_reader.h"
#include "rialto/data/token_row_files.h"

namespace rialto::cli {
namespace {

struct Options {
  std::vector<std::string> inputs;
  std::string output, metadata, quarantine;
  data::PackOptions pack;
  std::string tokenizer, loss = "assistant";  ///< of conversations and texts
  int64_t clock = -1;
  bool allow_special = false;
  int64_t cp = 1, tp = 1, multiple = 1;
  size_t threads = 0;
  bool json = false;
};

/// Bridge's masks are 0 or 1.
data::TokenRow token_row(const data::SftSample& sample, const std::string& where) {
  data::TokenRow row{sample.ids, {}};
  for (const float weight : sample.weights) {
    if (weight != 0 && weight != 1)
      throw Error(ErrorKind::kInput, where, "has a loss weight that packed files cannot hold",
                  {.got = fmt::format("{}", weight), .want = "0 or 1"});
    row.mask.push_back(weight != 0);
  }
  return row;
}

/// Conversations and texts, tokenized on the way.
uint64_t add_sft_rows(const Options& options, data::RowPacker& packer, const data::SftEncoder& encoder, FileOps& ops,
                      Progress& told) {
  data::SftFiles files{.paths = {options.inputs.begin(), options.inputs.end()}};
  files.threads = options.threads;
  uint64_t bad = 0;
  const auto read = [&](const data::BadSftRow& put_aside) {
    data::read_sft(
        files, encoder, [&](const data::SftItem& item) { packer.add(token_row(item.sample, item.where), item.where); },
        put_aside, &told);
  };
  if (options.quarantine.empty()) {
    read(nullptr);
    return bad;
  }
  replace_file(ops, options.quarantine, [&](const fs::path& path) {
    const auto file = ops.create(path);
    read([&](const Error& error, const std::string& where, std::string_view line) {
      const std::string row = data::quarantine_line(error, where, line);
      file->write(std::as_bytes(std::span(row)));
      ++bad;
    });
    file->sync();
    file->close();
  });
  return bad;
}

data::SftEncoder encoder_of(const Options& options) {
  data::SftOptions made{
      .tokenizer = options.tokenizer, .loss = data::loss_mode_of(options.loss), .allow_special = options.allow_special};
  if (options.clock >= 0) made.clock = options.clock;
  return data::SftEncoder(made);
}

Json run(Options& options, FileOps& ops, Progress& told) {
  const std::vector<fs::path> inputs(options.inputs.begin(), options.inputs.end());
  // With a tokenizer a parquet file holds conversations and texts.
  const auto packed = options.tokenizer.empty() ? std::count_if(inputs.begin(), inputs.end(), data::is_packed_file) : 0;
  if (packed == static_cast<int64_t>(inputs.size()))
    return data::copy_packed(inputs, options.output, options.pack.overwrite, ops, told);
  if (packed > 0) throw Error(ErrorKind::kUsage, "data pack", "packed files and rows cannot be mixed");
  if (options.pack.size == 0) throw Error(ErrorKind::kUsage, "data pack", "rows are packed to a --size");
  options.pack.output = options.output;
  options.pack.metadata = options.metadata;
  options.pack.multiple = data::padding_multiple(options.cp, options.tp, options.multiple);
  if (!options.tokenizer.empty()) {
    const data::SftEncoder encoder = encoder_of(options);
    if (options.pack.pad < 0) options.pack.pad = encoder.eos().value_or(0);
    data::RowPacker packer(options.pack, ops);
    const uint64_t bad = add_sft_rows(options, packer, encoder, ops, told);
    Json report = packer.finish(told);
    if (!options.quarantine.empty()) report["quarantined"] = bad;
    return report;
  }
  if (!options.quarantine.empty())
    throw Error(ErrorKind::kUsage, "--quarantine", "it is for conversations and texts, with --tokenizer");
  options.pack.pad = std::max(options.pack.pad, 0);
  data::RowPacker packer(options.pack, ops);
  data::TextSource source;
  source.inputs = inputs;
  data::read_token_row_files(
      source, options.threads, [&](data::TokenRow row, const std::string& where) { packer.add(std::move(row), where); },
      told);
  return packer.finish(told);
}

std::string text_of(const Json& report) {
  std::string text;
  for (const auto& [key, value] : report.items()) {
    if (value.is_object())
      text += text_of(value);
    else
      text += fmt::format("{:<20} {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
  }
  return text;
}

}  // namespace

void add_data_pack(CLI::App& data, Context& context) {
  static const std::map<std::string, data::PackAlgorithm> kAlgorithms{
      {"first-fit", data::PackAlgorithm::kFirstFit},
      {"first-fit-shuffle", data::PackAlgorithm::kFirstFitShuffle},
      {"first-fit-decreasing", data::PackAlgorithm::kFirstFitDecreasing},
      {"best-fit", data::PackAlgorithm::kBestFit}};
  static const std::map<std::string, data::LongRows> kLongRows{
      {"refuse", data::LongRows::kRefuse}, {"cut", data::LongRows::kCut}, {"drop", data::LongRows::kDrop}};
  CLI::App* command = data.add_subcommand("pack", "Pack tokenised rows into rows of one size, as Bridge stores them");
  const auto options = std::make_shared<Options>();
  data::PackOptions& pack = options->pack;
  pack.pad = -1;  // not given
  command
      ->add_option(
          "inputs", options->inputs,
          "JSON lines: of input_ids and loss_mask, or with --tokenizer conversations and texts; or packed .npy "
          "and .parquet files, which are only rewritten")
      ->required();
  command->add_option("--output", options->output, "The .idx.parquet file to write")->required();
  command->add_option("--size", pack.size, "Tokens of a packed row")->check(CLI::PositiveNumber);
  command->add_option("--algorithm", pack.algorithm, "first-fit, first-fit-shuffle, first-fit-decreasing or best-fit")
      ->transform(CLI::CheckedTransformer(kAlgorithms))
      ->default_str("first-fit-decreasing");
  command->add_option("--seed", pack.seed, "Of first-fit-shuffle")->capture_default_str();
  command->add_option("--pad-token", pack.pad,
                      "Id that fills a segment up to its multiple (default: end of text, or 0)");
  command->add_option("--context-parallel-size", options->cp, "Segments become multiples of twice this")
      ->capture_default_str();
  command->add_option("--tensor-parallel-size", options->tp, "With sequence parallelism: multiples of this as well")
      ->capture_default_str();
  command->add_option("--pad-multiple", options->multiple, "Segments become multiples of this")->capture_default_str();
  command->add_option("--long-rows", pack.long_rows, "Rows that fit no bin: refuse, cut or drop")
      ->transform(CLI::CheckedTransformer(kLongRows))
      ->default_str("refuse");
  command->add_option("--tokenizer", options->tokenizer, "Folder with tokenizer.json and a chat template");
  command->add_option("--loss", options->loss, "With --tokenizer, what is trained: assistant, last_turn or full")
      ->check(CLI::IsMember({"assistant", "last_turn", "full"}))
      ->capture_default_str();
  command->add_option("--clock", options->clock, "Seconds of the epoch for templates which tell the date, in UTC")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--allow-special", options->allow_special, "Rows may write special tokens in their texts");
  command->add_option("--quarantine", options->quarantine,
                      "With --tokenizer: file that gets the rows that cannot be used; else the first one ends the run");
  command->add_option("--metadata", options->metadata, "Append Bridge's numbers of this packing to a JSON list");
  command->add_option("--threads", options->threads, "Threads (default: every CPU)");
  command->add_flag("--overwrite", pack.overwrite, "Replace an existing file");
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer(
      "Example:\n  rialto data pack chats.jsonl --tokenizer llama/ --size 4096 --output "
      "packed/training_4096.idx.parquet");
  command->callback([options, &context] {
    context.action = [options, &context] {
      const Json report = run(*options, *context.ops, context.progress ? *context.progress : silent());
      print_report(options->json, report, text_of(report));
      return 0;
    };
  });
}

}  // namespace rialto::cli
