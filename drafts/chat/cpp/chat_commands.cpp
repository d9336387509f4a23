// rialto data view | check: chats as the model sees them.
#include <fmt/format.h>
#include <unistd.h>

#include "rialto/cli/data_commands.h"
#include "rialto/data/chat_file.h"

namespace rialto::cli {
namespace {

struct ChatOptions {
  std::vector<std::string> inputs;
  std::string tokenizer, loss = "assistant";
  int64_t first = 0, rows = 3;
  data::ChatCheck check;
  bool json = false;

  void add_to(CLI::App& command) {
    command.add_option("inputs", inputs, "JSONL files of chats")->required();
    command.add_option("--tokenizer", tokenizer, "Folder with tokenizer.json and a chat template")->required();
    command.add_option("--loss", loss, "What is trained: assistant, last_turn or full")
        ->check(CLI::IsMember({"assistant", "last_turn", "full"}))
        ->capture_default_str();
    command.add_flag("--json", json, "Report as JSON");
  }
  data::ChatFiles files() const {
    data::ChatFiles made{.paths = {inputs.begin(), inputs.end()}, .tokenizer = tokenizer};
    if (loss == "last_turn") made.loss = data::LossMode::kLastTurn;
    if (loss == "full") made.loss = data::LossMode::kFull;
    return made;
  }
};

Json row_report(const std::string& where, const data::ChatTokens& row) {
  Json tokens = Json::array();
  for (size_t i = 0; i < row.ids.size(); ++i) {
    const auto [begin, end] = row.places[i];
    tokens.push_back({{"id", row.ids[i]}, {"begin", begin}, {"end", end}, {"trained", row.trained[i] == 1}});
  }
  return {{"row", where}, {"text", row.text}, {"tokens", tokens}};
}

/// The text with what is trained in green, or between guillemets where there are no colours.
std::string row_text(const std::string& where, const data::ChatTokens& row, bool colours) {
  const std::string_view on = colours ? "\x1b[32m" : "«", off = colours ? "\x1b[0m" : "»";
  std::string body;
  size_t done = 0, trained = 0;
  bool open = false;
  for (size_t i = 0; i < row.ids.size(); ++i) {
    trained += row.trained[i];
    if (row.places[i].first < done) continue;  // a later piece of the same character
    const bool is_trained = row.trained[i] == 1;
    body.append(row.text, done, row.places[i].first - done);
    if (is_trained != open) body += is_trained ? on : off;
    open = is_trained;
    body.append(row.text, row.places[i].first, row.places[i].second - row.places[i].first);
    done = row.places[i].second;
  }
  if (open) body += off;
  return fmt::format("{}: {} tokens, {} trained\n{}{}\n\n", where, row.ids.size(), trained, body, row.text.substr(done));
}

std::string check_text(const Json& report) {
  std::string text = fmt::format("{} rows, {} tokens, {} of them trained; the longest row has {}\n",
                                 report["rows"].dump(), report["tokens"].dump(), report["trained"].dump(),
                                 report["longest"].dump());
  for (const char* kind : {"bad", "all_trained", "too_long", "duplicates"})
    if (report[kind] != 0) text += fmt::format("{:<12} {}\n", kind, report[kind].dump());
  for (const Json& fault : report["faults"]) text += "  " + fault.get<std::string>() + "\n";
  return text;
}

}  // namespace

void add_data_view(CLI::App& data, Context& context) {
  CLI::App* command = data.add_subcommand("view", "Show chats as the model sees them, and what of them is trained");
  const auto options = std::make_shared<ChatOptions>();
  options->add_to(*command);
  command->add_option("--first", options->first, "Rows to pass over")->check(CLI::NonNegativeNumber);
  command->add_option("--rows", options->rows, "Rows to show")->check(CLI::NonNegativeNumber)->capture_default_str();
  command->footer("Example:\n  rialto data view chats.jsonl --tokenizer model/");
  command->callback([options, &context] {
    context.action = [options] {
      Json rows = Json::array();
      std::string text;
      data::view_chats(options->files(), options->first, options->rows,
                       [&](const std::string& where, const data::ChatTokens& row) {
                         if (options->json)
                           rows.push_back(row_report(where, row));
                         else
                           text += row_text(where, row, ::isatty(STDOUT_FILENO) == 1);
                       });
      print_report(options->json, rows, text);
      return 0;
    };
  });
}

void add_data_check(CLI::App& data, Context& context) {
  CLI::App* command = data.add_subcommand("check", "Find rows of chats that would train nothing, everything or twice");
  const auto options = std::make_shared<ChatOptions>();
  options->add_to(*command);
  command->add_option("--seq-length", options->check.seq_length, "Name rows of more tokens")
      ->check(CLI::NonNegativeNumber);
  command->footer("Example:\n  rialto data check chats.jsonl --tokenizer model/ --seq-length 4096");
  command->callback([options, &context] {
    context.action = [options, &context] {
      const Json report = data::check_chats(options->files(), options->check, context.progress);
      print_report(options->json, report, check_text(report));
      return report["faults"].empty() ? 0 : exit_code(ErrorKind::kVerify);
    };
  });
}

}  // namespace rialto::cli
