// Megatron's lines and JSON records.
#include "rialto/train/records.h"

#include <algorithm>
#include <chrono>
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

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

Json time_of(const StepRecord& record) {
  const auto per_ms = [&](double amount) { return record.elapsed_ms > 0 ? amount / record.elapsed_ms : 0.0; };
  const auto per_device = [&](double flops) { return per_ms(flops) / 1e9 / static_cast<double>(record.world_size); };
  const double exact_tflops = per_device(record.exact_flops);
  Json time = {{"at", seconds_now()},
               {"elapsed_ms", record.elapsed_ms},
               {"tokens_per_s", per_ms(static_cast<double>(record.num_tokens)) * 1e3},
               {"tflops_per_s", per_device(record.flops)},
               {"exact_tflops_per_s", exact_tflops}};
  if (record.peak_tflops) time["model_flops_utilization"] = exact_tflops / *record.peak_tflops;
  if (!record.phases_ms.empty()) time["phases_ms"] = record.phases_ms;
  if (!record.memory.empty()) time["memory"] = record.memory;
  return time;
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
  if (record.skipped_samples > 0) json["skipped samples"] = record.skipped_samples;
  for (const auto& [name, loss] : named(record.extra)) json[name] = loss;
  json["learning rate"] = record.learning_rate;
  json["grad norm"] = record.skipped ? Json(nullptr) : Json(record.grad_norm);
  json["loss scale"] = record.loss_scale;
  if (record.skipped) json["skipped"] = true;
  json["global batch size"] = record.global_batch_size;
  json["tokens"] = record.num_tokens;
  if (record.num_zeros) json["num zeros"] = *record.num_zeros;
  if (record.params_norm) json["params norm"] = *record.params_norm;
  json["time"] = time_of(record);
  return json;
}

Json to_json(const LeftOutRecord& record) {
  return {{"kind", "left out"},
          {"iteration", record.iteration},
          {"consumed samples", record.consumed_samples},
          {"skipped samples", record.skipped_samples}};
}

Json to_json(const EvalRecord& record) {
  return {{"kind", record.part == EvalPart::kTest ? "test" : "validation"},
          {"iteration", record.iteration},
          {"lm loss", record.loss},
          {"tokens", record.num_tokens},
          {"time", {{"at", seconds_now()}, {"elapsed_ms", record.elapsed_ms}}}};
}

Json to_json(const SampleRecord& record) {
  Json json = {{"kind", "sample"}, {"iteration", record.iteration}};
  json["prompt"] = record.prompt_text ? Json(*record.prompt_text) : Json(record.prompt);
  json["text"] = record.text ? Json(*record.text) : Json(record.tokens);
  return json;
}

std::string step_line(const StepRecord& last, double mean_loss, double mean_elapsed_ms,
                      std::optional<double> tflops_per_s, int64_t train_iters, std::string timestamp,
                      const std::map<std::string, double>& mean_extra, const SkipCounts& skips) {
  if (timestamp.empty()) timestamp = now();
  std::string line = fmt::format(" [{}] iteration {:8d}/{:8d} |", timestamp, last.iteration, train_iters);
  line += fmt::format(" consumed samples: {:12d} |", last.consumed_samples);
  if (last.skipped_samples > 0) line += fmt::format(" skipped samples: {:12d} |", last.skipped_samples);
  line += fmt::format(" elapsed time per iteration (ms): {:.1f} |", mean_elapsed_ms);
  if (tflops_per_s) line += fmt::format(" throughput per GPU (TFLOP/s/GPU): {:.1f} |", *tflops_per_s);
  line += fmt::format(" learning rate: {:.6E} |", last.next_learning_rate);
  line += fmt::format(" global batch size: {:5d} |", last.global_batch_size);
  if (mean_loss > 0) line += fmt::format(" lm loss: {:.6E} |", mean_loss);  // Megatron leaves a loss of 0 out
  for (const auto& [name, loss] : mean_extra)
    if (loss > 0) line += fmt::format(" {}: {:.6E} |", name, loss);
  line += fmt::format(" loss scale: {:.1f} |", last.loss_scale);
  if (!last.skipped) line += fmt::format(" grad norm: {:.3f} |", last.grad_norm);
  if (last.num_zeros) line += fmt::format(" num zeros: {} |", *last.num_zeros);
  if (last.params_norm) line += fmt::format(" params norm: {:.3f} |", *last.params_norm);
  line += fmt::format(" number of skipped iterations: {:3d} |", skips.skipped);
  line += fmt::format(" number of nan iterations: {:3d} |", skips.nan);
  return line;
}

std::string exit_line(const std::string& why, std::string timestamp) {
  return fmt::format("[exiting program {}] datetime: {} ", why, timestamp.empty() ? now() : timestamp);
}

std::string eval_lines(const EvalRecord& record) {
  std::string line = fmt::format(" validation loss at iteration {}", record.iteration);
  if (record.part == EvalPart::kValidationAtEnd) line += " on validation set";
  if (record.part == EvalPart::kTest) line += " on test set";
  line += " | ";
  line += fmt::format("lm loss value: {:.6E} | ", record.loss);
  line += fmt::format("lm loss PPL: {:.6E} | ", std::exp(std::min(20.0, record.loss)));
  const std::string dashes(line.size() + 1, '-');
  return dashes + "\n" + line + "\n" + dashes;
}

}  // namespace rialto::train
