// rialto verify A B: the tensors here; with --logits the inputs are checked here and run by rialto-train.
#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/cli/command.h"
#include "rialto/convert/convert.h"
#include "rialto/convert/loadable.h"
#include "rialto/data/token_rows.h"
#include "rialto/hub/local_model.h"

namespace rialto::cli {
namespace {

struct Options {
  std::string a, b;
  std::optional<uint64_t> ulp;
  std::optional<double> rtol;
  bool json = false, logits = false;
  // of --logits; rialto-train reads them again
  std::string tokens, device;
  double tolerance = 0;
  int threads = 0;
};

/// Refuses what rialto-train could not compare, and hands over.
void compare_logits(const Options& options, Context& context) {
  const fs::path a = hub::local_model(options.a, "", *context.ops, context.progress);
  const fs::path b = hub::local_model(options.b, "", *context.ops, context.progress);
  const spec::ModelSpec model = convert::loadable_model(a);
  convert::check_same_vocabulary(options.a, model, options.b, convert::loadable_model(b));
  if (!options.tokens.empty()) data::read_token_rows(options.tokens, model.vocab);
  context.hand_over();
}

void add_logits_options(CLI::App& command, Options& options) {
  CLI::Option* logits = command.add_flag("--logits", options.logits,
                                         "Run both models in fp32, on the same tokens, and compare the logits instead");
  for (const char* exact : {"--ulp", "--rtol"}) logits->excludes(command.get_option(exact));
  command
      .add_option("--tokens", options.tokens,
                  "JSON file of ids to run, a list of lists of one length (default: drawn, always the same)")
      ->needs(logits);
  command
      .add_option("--tolerance", options.tolerance,
                  "Accept logits this times max(1, largest logit of B) apart (default: 1e-5)")
      ->check(CLI::NonNegativeNumber)
      ->needs(logits);
  command.add_option("--device", options.device, "Where to run: auto, cpu, cuda or cuda:N")->needs(logits);
  command.add_option("--threads", options.threads, "CPU threads to run with (default: all)")->needs(logits);
}

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
  add_logits_options(*command, *options);
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer(
      R"(Bit for bit unless --ulp or --rtol is given. Exit code 4 when something differs, is missing, is extra, or has another
shape, type or configuration. With --logits: exit code 4 when two logits are further apart than the tolerance, or are not
finite; both models need one vocabulary, but may be of different families.

Examples:
  rialto verify Qwen3-0.6B qwen3-megatron
  rialto verify before after --rtol 1e-3 --json
  rialto verify Qwen3-0.6B qwen3-megatron --logits)");
  command->callback([options, &context] {
    context.action = [options, &context] {
      if (options->logits) compare_logits(*options, context);
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
