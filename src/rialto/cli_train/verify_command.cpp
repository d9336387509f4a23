// rialto-train verify A B --logits: do two checkpoints compute the same? `rialto verify` without --logits compares the
// tensors and needs no torch.
#include <cstdio>

#include "rialto/base/error.h"
#include "rialto/cli_train/command.h"
#include "rialto/convert/loadable.h"
#include "rialto/hub/local_model.h"
#include "rialto/train/compare_logits.h"
#include "rialto/train/logits.h"
#include "rialto/train/setup.h"

namespace rialto::cli_train {
namespace {

struct Options {
  Common common;
  std::string a, b, tokens;
  bool logits = false;
  double tolerance = train::kLogitsTolerance;
};

/// Runs the model on every row, in fp32, and lets it go again.
void run_rows(const fs::path& path, const data::TokenRows& rows, at::Device device, Progress& progress,
              const std::function<void(size_t, const at::Tensor&)>& take) {
  const generate::LoadedModel model = generate::open_model(path, DType::kF32, device, /*training=*/false, &progress);
  progress.begin("logits of " + path.string(), rows.size(), "rows");
  for (size_t row = 0; row < rows.size(); ++row) {
    check_cancelled(progress, "logits");
    take(row, train::logits_of_row(model, rows[row]));
    progress.update(row + 1);
  }
  progress.end();
}

std::span<const float> values(const at::Tensor& logits) {
  return {logits.const_data_ptr<float>(), static_cast<size_t>(logits.numel())};
}

int run(const Options& options) {
  apply(options.common);
  const at::Device device = train::parse_device(options.common.device);
  const auto progress = terminal_progress();
  const fs::path a = hub::local_model(options.a, "", file_ops(), progress.get());
  const fs::path b = hub::local_model(options.b, "", file_ops(), progress.get());
  const spec::ModelSpec model_a = checkpoint::open_source(a).model, model_b = checkpoint::open_source(b).model;
  convert::check_same_vocabulary(options.a, model_a, options.b, model_b);
  const data::TokenRows rows =
      options.tokens.empty()
          ? data::random_token_rows(model_a.vocab, std::min(model_a.max_positions, model_b.max_positions))
          : data::read_token_rows(options.tokens, model_a.vocab);

  std::vector<at::Tensor> of_a(rows.size());
  run_rows(a, rows, device, *progress, [&](size_t row, const at::Tensor& logits_SV) { of_a[row] = logits_SV; });
  train::LogitsComparison comparison(model_a.vocab);
  run_rows(b, rows, device, *progress,
           [&](size_t row, const at::Tensor& logits_SV) { comparison.add_row(values(of_a[row]), values(logits_SV)); });
  if (options.common.json) {
    Json report = train::to_json(comparison, options.tolerance);
    report["rows"] = rows.size();
    report["length"] = rows.front().size();
    report["vocab"] = model_a.vocab;
    report["family_a"] = model_a.family;
    report["family_b"] = model_b.family;
    std::puts(report.dump().c_str());
  } else {
    std::puts(train::to_text(comparison, options.tolerance).c_str());
  }
  return comparison.within(options.tolerance) ? 0 : exit_code(ErrorKind::kVerify);
}

}  // namespace

Run add_verify(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("verify", "Compare the logits of two models");
  command->add_option("a", options->a, "Hugging Face folder, hub id ORG/NAME[@REVISION] or native checkpoint")
      ->required();
  command->add_option("b", options->b, "the other one, of either kind")->required();
  command->add_flag("--logits", options->logits, "what this program compares")->required();
  command->add_option("--tokens", options->tokens,
                      "JSON file: a list of lists of ids, all of one length (default: drawn)");
  command->add_option("--tolerance", options->tolerance, "accept this times max(1, largest logit of b)")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  add_common(*command, options->common);
  return [options] { return run(*options); };
}

}  // namespace rialto::cli_train
