// rialto verify A B
#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/cli/command.h"
#include "rialto/convert/convert.h"
#include "rialto/hub/local_model.h"

namespace rialto::cli {
namespace {

struct Options {
  std::string a, b;
  std::optional<uint64_t> ulp;
  std::optional<double> rtol;
  bool json = false;
};

}  // namespace

void add_verify(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("verify", "Compare two models tensor by tensor, whatever each is stored as");
  const auto options = std::make_shared<Options>();
  command->add_option("a", options->a, "Hugging Face folder, hub id ORG/NAME[@REVISION] or Megatron checkpoint")
      ->required();
  command->add_option("b", options->b, "The other one, of either kind")->required();
  command->add_option("--ulp", options->ulp,
                      "Accept values this many representable numbers apart (in the coarser type)");
  command->add_option("--rtol", options->rtol, "Accept values that differ by this fraction of the larger one")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer(
      R"(Bit for bit unless --ulp or --rtol is given. Exit code 4 when something differs, is missing, is extra, or has another
shape, type or configuration.

Examples:
  rialto verify Qwen3-0.6B qwen3-megatron
  rialto verify before after --rtol 1e-3 --json)");
  command->callback([options, &context] {
    context.action = [options, &context] {
      const convert::VerifyReport report = convert::verify(
          {hub::local_model(options->a, "", *context.ops, context.progress),
           hub::local_model(options->b, "", *context.ops, context.progress), options->ulp, options->rtol},
          context.progress);
      for (const std::string& notice : report.notices)
        if (!options->json) context.progress->notice(notice);
      print_report(options->json, to_json(report), to_text(report));
      return report.differences.empty() ? 0 : exit_code(ErrorKind::kVerify);
    };
  });
}

}  // namespace rialto::cli
