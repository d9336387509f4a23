// rialto inspect PATH
#include "rialto/cli/command.h"
#include "rialto/convert/convert.h"
#include "rialto/hub/local_model.h"

namespace rialto::cli {
namespace {

struct Options {
  std::string path;
  bool hash = false, json = false;
};

}  // namespace

void add_inspect(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("inspect", "Say what a model folder or checkpoint holds");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("path", options->path,
                   "Hugging Face folder, hub id ORG/NAME[@REVISION], checkpoint root, or one iter_* folder of it")
      ->required();
  command->add_flag("--hash", options->hash, "Compute every hash, and compare with those recorded");
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer(R"(Examples:
  rialto inspect qwen3-megatron
  rialto inspect qwen3-megatron/iter_0000001 --hash --json)");
  command->callback([options, &context] {
    context.action = [options, &context] {
      const Json report = convert::inspect(hub::local_model(options->path, "", *context.ops, context.progress),
                                           options->hash, context.progress);
      print_report(options->json, report, convert::inspect_to_text(report));
      return 0;
    };
  });
}

}  // namespace rialto::cli
