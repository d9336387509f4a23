// What one iteration and one evaluation report, and their two written forms: Megatron's lines and JSON records.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rialto/base/json.h"

namespace rialto::train {

/// What training adds to the next-token loss, before the coefficients; nullopt: the objective lacks it.
struct ExtraLosses {
  std::optional<double> load_balancing, z;  ///< means over routers and the global batch's tokens
  std::vector<double> mtp;                  ///< of each depth: mean over the tokens that have one so far ahead
};
/// Under Megatron's names: load_balancing_loss, z_loss, mtp_1 loss and so on.
std::map<std::string, double> named(const ExtraLosses& losses);

struct StepRecord {
  int64_t iteration = 0;  ///< from 1
  int64_t consumed_samples = 0;
  int64_t skipped_samples = 0;  ///< of the run so far: passed over, or rounded off a batch
  double loss = 0;              ///< weighted mean over the global batch's tokens
  ExtraLosses extra;
  double learning_rate = 0;       ///< that this step used
  double next_learning_rate = 0;  ///< what Megatron's step line prints: its scheduler has moved on by then
  double grad_norm = 0;           ///< before clipping
  double loss_scale = 1;          ///< for the next iteration
  bool skipped = false;           ///< the weights did not move
  int64_t global_batch_size = 0;
  int64_t num_tokens = 0;
  double elapsed_ms = 0;
  double flops = 0;        ///< as Megatron counts them
  double exact_flops = 0;  ///< what was computed (spec/flops.h)
  std::optional<double> params_norm;
  std::optional<int64_t> num_zeros;         ///< in the gradient
  std::map<std::string, double> phases_ms;  ///< since the last record; an evaluation and a save before it too
  std::map<std::string, double> memory;     ///< gigabytes, under Megatron's names
  std::optional<double> peak_tflops;        ///< of a device
  int64_t world_size = 1;                   ///< devices of the run
};

/// An iteration whose data was passed over.
struct LeftOutRecord {
  int64_t iteration = 0;
  int64_t consumed_samples = 0, skipped_samples = 0;  ///< of the run so far
};

/// Which data was evaluated on, and when: Megatron words the line after the last iteration differently.
enum class EvalPart { kValidation, kValidationAtEnd, kTest };

struct EvalRecord {
  int64_t iteration = 0;
  EvalPart part = EvalPart::kValidation;
  int64_t num_samples = 0;
  double loss = 0;
  int64_t num_tokens = 0;
  double elapsed_ms = 0;
};

/// What the model wrote after the beginning of a held-out sample.
struct SampleRecord {
  int64_t iteration = 0;
  std::vector<int32_t> prompt = {}, tokens = {};
  std::optional<std::string> prompt_text = {}, text = {};  ///< with a tokenizer
};

/// Records with every double in full precision. What changes from run to run stands under "time" alone, so two runs are
/// compared by leaving that key out.
/// Keys are the step line's names; those of ExtraLosses stand only where the objective has them.
Json to_json(const StepRecord& record);
Json to_json(const LeftOutRecord& record);
Json to_json(const EvalRecord& record);
Json to_json(const SampleRecord& record);

/// Iterations since the last step line that did not move the weights, and those among them whose loss was not finite.
struct SkipCounts {
  int64_t skipped = 0, nan = 0;
};

/// Megatron's step line over the iterations since the last one. Source: megatron/training/training.py, training_log.
/// `tflops_per_s`: left out when unset. `timestamp`: "2026-01-31 12:00:00"; empty: now. `mean_extra`: of the extra
/// losses, by name.
std::string step_line(const StepRecord& last, double mean_loss, double mean_elapsed_ms,
                      std::optional<double> tflops_per_s, int64_t train_iters, std::string timestamp = {},
                      const std::map<std::string, double>& mean_extra = {}, const SkipCounts& skips = {});
/// What Megatron prints when a run ends early: "[exiting program at iteration 10] datetime: ...". `why`: "at iteration
/// 10".
std::string exit_line(const std::string& why, std::string timestamp = {});
/// Three lines: dashes, the loss and its perplexity (of at most exp(20)), dashes. Source: as above,
/// evaluate_and_print_results.
std::string eval_lines(const EvalRecord& record);

}  // namespace rialto::train
