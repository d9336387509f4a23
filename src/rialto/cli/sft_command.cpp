// rialto data view | check: fine-tuning rows as the model sees them.
#include <array>
#include <cstdlib>

#include <fmt/format.h>
#include <unistd.h>

#include "rialto/cli/data_commands.h"
#include "rialto/cli/sft_text.h"
#include "rialto/data/sft_check.h"
#include "rialto/data/token_check.h"

namespace rialto::cli {
namespace {

/// Options of both commands.
struct RowOptions {
  std::vector<std::string> inputs;
  std::string tokenizer, loss = "assistant", truncation = "right", quarantine;
  int64_t clock = -1, seq_length = 0;
  bool allow_special = false, json = false;

  void add_to(CLI::App& command) {
    command
        .add_option("inputs", inputs,
                    "Files of conversations, texts or preference pairs: .jsonl, .jsonl.gz, .jsonl.zst, .parquet")
        ->required();
    command.add_option("--tokenizer", tokenizer, "Folder with tokenizer.json and a chat template");
    command.add_option("--loss", loss, "What is trained: assistant, last_turn or full")
        ->check(CLI::IsMember({"assistant", "last_turn", "full"}))
        ->capture_default_str();
    command.add_option("--seq-length", seq_length, "Tokens of a training sample; longer rows are cut or dropped")
        ->check(CLI::NonNegativeNumber);
    command.add_option("--truncation", truncation, "What happens to longer rows: right (cut) or drop")
        ->check(CLI::IsMember({"right", "drop"}))
        ->capture_default_str();
    command.add_option("--clock", clock, "Seconds of the epoch that templates which tell the date are given, in UTC")
        ->check(CLI::NonNegativeNumber);
    command.add_flag("--allow-special", allow_special, "Rows may write special tokens in their texts");
    command.add_option("--quarantine", quarantine, "File that gets the rows that cannot be used");
    command.add_flag("--json", json, "Report as JSON");
  }
  data::SftFiles files() const {
    data::SftFiles made{.paths = {inputs.begin(), inputs.end()}};
    // A sample has one token more than it has labels.
    made.max_tokens = seq_length > 0 ? seq_length + 1 : 0;
    made.truncation = truncation == "drop" ? data::Truncation::kDrop : data::Truncation::kRight;
    return made;
  }
  data::SftOptions encoding() const {
    if (tokenizer.empty()) throw Error(ErrorKind::kUsage, "--tokenizer", "rows need one");
    data::SftOptions made{.tokenizer = tokenizer, .loss = data::loss_mode_of(loss), .allow_special = allow_special};
    if (clock >= 0) made.clock = clock;
    return made;
  }
};

struct ViewOptions {
  RowOptions rows;
  int64_t first = 1, count = 3;
  std::string html;
};

bool wants_colours() {
  const char* no = std::getenv("NO_COLOR");  // as https://no-color.org asks: set and not empty
  return ::isatty(STDOUT_FILENO) == 1 && (!no || *no == '\0');
}

std::vector<ShownSample> samples_of(const ViewOptions& options, Context& context) {
  data::SftFiles files = options.rows.files();
  files.first = options.first - 1;
  files.count = options.count;
  files.pairs = files.details = true;
  const data::SftEncoder encoder(options.rows.encoding());
  std::vector<ShownSample> shown;
  std::string quarantined;
  data::BadSftRow bad;
  if (!options.rows.quarantine.empty())
    bad = [&](const Error& error, const std::string& where, std::string_view line) {
      quarantined += data::quarantine_line(error, where, line);
    };
  data::read_sft(
      files, encoder,
      [&](const data::SftItem& item) {
        if (item.left_out) return;
        shown.push_back({item.where, item.rejected ? "chosen" : "", item.sample, item.detail});
        if (item.rejected) shown.push_back({item.where, "rejected", *item.rejected, item.rejected_detail});
      },
      bad, nullptr);
  if (bad) write_file_atomically(*context.ops, options.rows.quarantine, quarantined);
  return shown;
}

/// .bin/.idx pairs among the inputs; all of them are, or none is.
std::vector<fs::path> token_files(const std::vector<std::string>& inputs) {
  std::vector<fs::path> prefixes;
  for (const std::string& input : inputs)
    if (const fs::path prefix = data::token_prefix(input); !prefix.empty()) prefixes.push_back(prefix);
  if (!prefixes.empty() && prefixes.size() != inputs.size())
    throw Error(ErrorKind::kUsage, "data check", "token files and rows cannot be mixed");
  return prefixes;
}

/// Counts, then what was found.
std::string check_text(const Json& report) {
  const auto number = [](const Json& value) {
    return value.is_number_float() ? fmt::format("{:.4g}", value.get<double>()) : value.dump();
  };
  std::string text;
  for (const char* key : {"documents", "rows", "pairs", "tokens", "distinct_tokens", "trained", "weight", "bigram_nats",
                          "unigram_nats", "uniform_nats"})
    if (report.contains(key) && report[key] != 0) text += fmt::format("{:<14} {}\n", key, number(report[key]));
  for (const auto& [key, value] : report["lengths"].items())
    text += fmt::format("{:<14} {}\n", "length " + key, number(value));
  for (const auto& [kind, count] : report["findings"].items())
    text += fmt::format("found {:<13} {}\n", kind, count.dump());
  for (const Json& line : report["listed"]) text += "  " + line.get<std::string>() + "\n";
  return text;
}

}  // namespace

void add_data_view(CLI::App& data, Context& context) {
  CLI::App* command = data.add_subcommand("view", "Show fine-tuning rows as the model sees them: tokens, roles, loss");
  const auto options = std::make_shared<ViewOptions>();
  options->rows.add_to(*command);
  command->add_option("--first", options->first, "Number of the first row that is shown")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--count", options->count, "Rows that are shown")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--html", options->html, "Write a page that needs no other file, instead");
  command->footer("Example:\n  rialto data view chats.jsonl --tokenizer model/");
  command->callback([options, &context] {
    context.action = [options, &context] {
      const std::vector<ShownSample> samples = samples_of(*options, context);
      Json rows = Json::array();
      std::string text;
      for (const ShownSample& sample : samples) {
        rows.push_back(sample_json(sample));
        text += terminal_text(sample, wants_colours());
      }
      if (!options->html.empty()) {
        write_file_atomically(*context.ops, options->html, html_page(samples));
        text = options->html + "\n";
      }
      print_report(options->rows.json, rows, text);
      return 0;
    };
  });
}

void add_data_check(CLI::App& data, Context& context) {
  CLI::App* command =
      data.add_subcommand("check", "Look through fine-tuning rows or token files; exit 4 when something is found");
  const auto options = std::make_shared<RowOptions>();
  const auto listed = std::make_shared<size_t>(20);
  options->add_to(*command);
  command->add_option("--list", *listed, "Findings that are named; all are counted")->capture_default_str();
  command->footer("Example:\n  rialto data check chats.jsonl --tokenizer model/ --seq-length 4096");
  command->callback([options, listed, &context] {
    context.action = [options, listed, &context] {
      const std::vector<fs::path> prefixes = token_files(options->inputs);
      const Json report =
          !prefixes.empty()
              ? data::check_tokens({.prefixes = prefixes, .tokenizer = options->tokenizer, .most_listed = *listed},
                                   context.progress)
              : data::check_sft({.files = options->files(),
                                 .encoding = options->encoding(),
                                 .most_listed = *listed,
                                 .quarantine = options->quarantine},
                                *context.ops, context.progress);
      print_report(options->json, report, check_text(report));
      return report["findings"].empty() ? 0 : exit_code(ErrorKind::kVerify);
    };
  });
}

}  // namespace rialto::cli
