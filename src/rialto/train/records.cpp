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

}  // namespace

std::map<std::string, double> named(const ExtraLosses& losses) {
  std::map<std::string, double> by_name;
  if (losses.load_balancing) by_name["load_balancing_loss"] = *losses.load_balancing;
  if (losses.z) by_name["z_loss"] = *losses.z;
  for (size_t m = 0; m < losses.mtp.size(); ++m) by_name[fmt::format("mtp_{} loss", m + 1)] = losses.mtp[m];
  return by_name;
}

Json to_json(const StepRecord& record) {
  Json json = {{"kind", "train"},
               {"iteration", record.iteration},
               {"consumed samples", record.consumed_samples},
               {"lm loss", record.loss}};
  for (const auto& [name, loss] : named(record.extra)) json[name] = loss;
  json["learning rate"] = record.learning_rate;
  json["grad norm"] = record.skipped ? Json(nullptr) : Json(record.grad_norm);
  json["loss scale"] = record.loss_scale;
  json["skipped"] = record.skipped;
  json["global batch size"] = record.global_batch_size;
  json["tokens"] = record.num_tokens;
  const double ms = record.elapsed_ms;
  json["time"] = {{"elapsed_ms", ms},
                  {"tokens_per_s", ms > 0 ? static_cast<double>(record.num_tokens) / ms * 1e3 : 0.0},
                  {"tflops_per_s", ms > 0 ? record.flops / ms / 1e9 : 0.0}};
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
                      int64_t train_iters, std::string timestamp, const std::map<std::string, double>& mean_extra,
                      int64_t num_skipped) {
  if (timestamp.empty()) timestamp = now();
  std::string line = fmt::format(" [{}] iteration {:8d}/{:8d} |", timestamp, last.iteration, train_iters);
  line += fmt::format(" consumed samples: {:12d} |", last.consumed_samples);
  line += fmt::format(" elapsed time per iteration (ms): {:.1f} |", mean_elapsed_ms);
  line += fmt::format(" throughput per GPU (TFLOP/s/GPU): {:.1f} |", tflops_per_s);
  line += fmt::format(" learning rate: {:.6E} |", last.next_learning_rate);
  line += fmt::format(" global batch size: {:5d} |", last.global_batch_size);
  if (mean_loss > 0) line += fmt::format(" lm loss: {:.6E} |", mean_loss);  // Megatron leaves a loss of 0 out
  for (const auto& [name, loss] : mean_extra)
    if (loss > 0) line += fmt::format(" {}: {:.6E} |", name, loss);
  line += fmt::format(" loss scale: {:.1f} |", last.loss_scale);
  if (!last.skipped) line += fmt::format(" grad norm: {:.3f} |", last.grad_norm);
  line += fmt::format(" number of skipped iterations: {:3d} |", num_skipped);
  // A loss that is not finite ends the run here; the field is there for programs that parse the line.
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
