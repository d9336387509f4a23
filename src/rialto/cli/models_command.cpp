// rialto models
#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/cli/command.h"
#include "rialto/cli/family_draft.h"
#include "rialto/cli/model_rows.h"
#include "rialto/cli/models_table.h"

namespace rialto::cli {
namespace {

struct Options {
  bool json = false, markdown = false;
};

struct ShowOptions {
  std::string name, from;
  std::optional<int64_t> layer;
  bool json = false;
};

void add_show(CLI::App& models, Context& context) {
  CLI::App* command = models.add_subcommand("show", "One family: its tensor rows, and where the tensors of a layer go");
  const auto options = std::make_shared<ShowOptions>();
  command->add_option("name", options->name, "Family or architecture: qwen3_moe, Qwen3MoeForCausalLM")->required();
  command->add_option("--from", options->from, "A folder whose config.json gives the sizes; default: small ones");
  command->add_option("--layer", options->layer, "Which layer; default: the last");
  command->add_flag("--json", options->json, "Report as JSON");
  command->callback([options, &context] {
    context.action = [options] {
      const Json rows = model_rows(
          options->name, options->from.empty() ? std::nullopt : std::optional<fs::path>(options->from), options->layer);
      print_report(options->json, rows, model_rows_text(rows));
      return 0;
    };
  });
}

struct NewOptions {
  std::string name, from, out;
  bool overwrite = false, json = false;
};

int make_new(const NewOptions& options, FileOps& ops) {
  const std::string out = options.out.empty() ? options.name + ".cpp" : options.out;
  const FamilyDraft draft = draft_family(options.name, read_draft_source(options.from));
  const std::string text = family_file(draft);
  const Json report = draft_to_json(draft, out);
  if (out == "-") {  // the file alone on stdout
    fmt::print("{}", text);
    fmt::print(stderr, "{}", options.json ? to_python_json(report) + "\n" : draft_to_text(report));
    return 0;
  }
  if (fs::exists(out) && !options.overwrite)
    throw Error(ErrorKind::kConfig, out, "already exists", {.hint = "choose another --out or add --overwrite"});
  write_file_atomically(ops, out, text);
  print_report(options.json, report, draft_to_text(report));
  return 0;
}

void add_new(CLI::App& models, Context& context) {
  CLI::App* command = models.add_subcommand("new", "Start a family's file from a model that no family has");
  const auto options = std::make_shared<NewOptions>();
  command->add_option("name", options->name, "Of the family and its file: foo, foo_moe")->required();
  command
      ->add_option("--from", options->from,
                   "Hugging Face folder: config.json, and weights or only their index (then names without shapes)")
      ->required();
  command->add_option("--out", options->out, "The file to write; - for stdout (default: NAME.cpp)");
  command->add_flag("--overwrite", options->overwrite, "Replace an existing file");
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer(
      R"(The file is the nearest known family's with the new names. What its rows do not explain is said, and stands in the
file as comments: tensors that no row names, config keys without a row, rows without a tensor.

Examples:
  rialto models new foo --from Foo-1B
  rialto models new foo --from Foo-1B --out src/rialto/families/foo.cpp)");
  command->callback(
      [options, &context] { context.action = [options, &context] { return make_new(*options, *context.ops); }; });
}

}  // namespace

void add_models(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("models", "List the model families and what is proven for each");
  const auto options = std::make_shared<Options>();
  command->add_flag("--json", options->json, "Report as JSON");
  command->add_flag("--markdown", options->markdown, "The table as the README has it");
  command->footer(
      "Columns: convert (there and back, byte for byte), logits and gradients (as transformers computes them), "
      "generate\n"
      "(the same tokens), megatron (Megatron itself opens the checkpoint, and we open its), resume (bit for bit).\n"
      "\n"
      "Examples:\n"
      "  rialto models show qwen3_moe                    its rows, and where the tensors of a layer go\n"
      "  rialto models new foo --from Foo-1B             start a family for a model that none has");
  add_show(*command, context);
  add_new(*command, context);
  command->callback([options, &context, command] {
    if (!command->get_subcommands().empty()) return;
    context.action = [options] {
      const Json table = models_table();
      print_report(options->json, table, options->markdown ? models_markdown(table) : models_text(table));
      return 0;
    };
  });
}

}  // namespace rialto::cli
