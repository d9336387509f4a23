// rialto models
#include "rialto/cli/command.h"
#include "rialto/cli/models_table.h"

namespace rialto::cli {
namespace {

struct Options {
  bool json = false, markdown = false;
};

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
  command->callback([options, &context] {
    context.action = [options] {
      const Json table = models_table();
      print_report(options->json, table, options->markdown ? models_markdown(table) : models_text(table));
      return 0;
    };
  });
}

}  // namespace rialto::cli
