// rialto models
#include "rialto/cli/command.h"
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

}  // namespace

void add_models(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("models", "List the model families and what is proven for each");
  const auto options = std::make_shared<Options>();
  command->add_flag("--json", options->json, "Report as JSON");
  command->add_flag("--markdown", options->markdown, "The table as the README has it");
  command->footer(
      "Columns: convert (there and back, byte for byte), logits and gradients (as transformers computes them), "
      "generate\n"
      "(the same tokens), megatron (Megatron itself opens the checkpoint, and we open its), resume (bit for bit).");
  add_show(*command, context);
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
