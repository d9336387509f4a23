// Megatron's lines and JSON records.
#include "rialto/train/records.h"

#include <algorithm>
#include <cmath>
#include <ctime>

#include <fmt/format.h>

namespace rialto::train {
namespace {

std::string now() {
  const std::time_t seconds = std::time(nullptr);
  std::tm local = {};
  localtime_r(&seconds, &local);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local)};
}

/// What Megatron calls the loss of depth `m`, counted from 1.
std::string mtp_name(size_t m) { return fmt::format("mtp_{} loss", m + 1); }

}  // namespace

Json to_json(const StepRecord& record) {
  Json json = {{"kind", "train"},
               {"iteration", record.iteration},
               {"consumed samples", record.consumed_samples},
               {"lm loss", record.loss},
               {"learning rate", record.learning_rate},
               {"grad norm", record.grad_norm},
               {"global batch size", record.global_batch_size},
               {"tokens", record.num_tokens},
               {"time",
                {{"elapsed_ms", record.elapsed_ms},
                 {"tokens_per_s",
                  record.elapsed_ms > 0 ? static_cast<double>(record.num_tokens) / record.elapsed_ms * 1e3 : 0.0},
                 {"tflops_per_s", record.elapsed_ms > 0 ? record.flops / record.elapsed_ms / 1e9 : 0.0}}}};
  for (size_t m = 0; m < record.mtp_losses.size(); ++m) json[mtp_name(m)] = record.mtp_losses[m];
  return json;
}

Json to_json(const EvalRecord& record) {
  return {{"kind", "validation"},
          {"iteration", record.iteration},
          {"lm loss", record.loss},
          {"tokens", record.num_tokens},
          {"time", {{"elapsed_ms", record.elapsed_ms}}}};
}

std::string step_line(const StepRecord& last, double mean_loss, double mean_elapsed_ms, double tflops_per_s,
                      int64_t train_iters, std::string timestamp, const std::vector<double>& mean_mtp_losses) {
  if (timestamp.empty()) timestamp = now();
  std::string line = fmt::format(" [{}] iteration {:8d}/{:8d} |", timestamp, last.iteration, train_iters);
  line += fmt::format(" consumed samples: {:12d} |", last.consumed_samples);
  line += fmt::format(" elapsed time per iteration (ms): {:.1f} |", mean_elapsed_ms);
  line += fmt::format(" throughput per GPU (TFLOP/s/GPU): {:.1f} |", tflops_per_s);
  line += fmt::format(" learning rate: {:.6E} |", last.next_learning_rate);
  line += fmt::format(" global batch size: {:5d} |", last.global_batch_size);
  if (mean_loss > 0) line += fmt::format(" lm loss: {:.6E} |", mean_loss);  // Megatron leaves a loss of 0 out
  for (size_t m = 0; m < mean_mtp_losses.size(); ++m)
    if (mean_mtp_losses[m] > 0) line += fmt::format(" {}: {:.6E} |", mtp_name(m), mean_mtp_losses[m]);
  line += fmt::format(" loss scale: {:.1f} |", 1.0);
  line += fmt::format(" grad norm: {:.3f} |", last.grad_norm);
  // A non-finite loss ends the run here, so both counters stay 0; the fields are there for programs that parse the
  // line.
  line += fmt::format(" number of skipped iterations: {:3d} |", 0);
  line += fmt::format(" number of nan iterations: {:3d} |", 0);
  return line;
}

std::string eval_lines(const EvalRecord& record) {
  std::string line =
      fmt::format(" validation loss at iteration {}{} | ", record.iteration, record.at_end ? " on validation set" : "");
  line += fmt::format("lm loss value: {:.6E} | ", record.loss);
  line += fmt::format("lm loss PPL: {:.6E} | ", std::exp(std::min(20.0, record.loss)));
  const std::string dashes(line.size() + 1, '-');
  return dashes + "\n" + line + "\n" + dashes;
}

}  // namespace rialto::train
