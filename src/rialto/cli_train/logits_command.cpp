// rialto-train logits MODEL: the numbers another program can compare.
#include <cstdio>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/cli_train/command.h"
#include "rialto/hub/local_model.h"
#include "rialto/train/gradients.h"
#include "rialto/train/logits.h"
#include "rialto/train/setup.h"

namespace rialto::cli_train {
namespace {

struct Options {
  Common common;
  std::string model, tokens, out, gradients, dtype = "fp32";
  double mtp_loss_scaling_factor = 0;
  bool routes = false;
};

int run(const Options& options) {
  if (options.out.empty() && options.gradients.empty())
    throw Error(ErrorKind::kUsage, "logits", "give --out FILE.safetensors");
  if (options.routes && options.out.empty())
    throw Error(ErrorKind::kUsage, "--routes", "adds to the file of --out, and there is none");
  apply(options.common);
  const at::Device device = train::parse_device(options.common.device);
  const auto progress = terminal_progress();
  const bool training = !options.gradients.empty();
  const generate::LoadedModel model =
      generate::open_model(hub::local_model(options.model, "", file_ops(), progress.get()), parse_dtype(options.dtype),
                           device, training, progress.get());
  const auto rows = data::read_token_rows(options.tokens, model.spec.vocab);
  Json report = {
      {"model", options.model}, {"rows", rows.size()}, {"length", rows.front().size()}, {"vocab", model.spec.vocab}};
  if (!options.out.empty()) {
    train::write_logits(model, rows, options.routes, file_ops(), options.out, progress.get());
    report["logits"] = options.out;
  }
  if (training) {
    train::write_gradients(model, rows, file_ops(), options.gradients, options.mtp_loss_scaling_factor);
    report["gradients"] = options.gradients;
  }
  const std::string line = options.common.json
                               ? report.dump()
                               : fmt::format("logits of {} x {} tokens: {}", rows.size(), rows.front().size(),
                                             options.out.empty() ? options.gradients : options.out);
  std::puts(line.c_str());
  return 0;
}

}  // namespace

Run add_logits(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("logits", "Write fp32 logits for given token ids");
  command->add_option("model", options->model, "Hugging Face folder, hub id ORG/NAME[@REVISION] or native checkpoint")
      ->required();
  command->add_option("--tokens", options->tokens, "JSON file: a list of lists of ids, all of one length")->required();
  command->add_option("--out", options->out, "safetensors file; tensor `logits` [rows, length, vocabulary]");
  command->add_flag("--routes", options->routes,
                    "also write `routes.<layer>` [rows * length, choices], the experts that each token goes to");
  CLI::Option* gradients = command->add_option(
      "--gradients", options->gradients,
      "also write `loss` (mean next-token cross entropy) and `grad.<HF name>` of every parameter to "
      "this safetensors file");
  command
      ->add_option("--mtp-loss-scaling-factor", options->mtp_loss_scaling_factor,
                   "gradients of the loss with multi-token prediction, whose blocks count this over their number; also "
                   "writes `mtp_losses`, the mean loss of each block")
      ->needs(gradients);
  command->add_option("--dtype", options->dtype, "fp32 or bf16, of weights and compute")->capture_default_str();
  add_common(*command, options->common);
  return [options] { return run(*options); };
}

}  // namespace rialto::cli_train
