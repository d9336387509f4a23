// The optimizer and the schedules of a configuration, for tests that compare them with torch and Megatron-Core:
//   optim_tool schedule SAMPLES... -- KEY=VALUE...
//   optim_tool trace GRADIENTS OUT -- KEY=VALUE...
// `schedule` writes, as JSON, a list of [lr, decoupled_lr, weight_decay] at these counts of samples. `trace` makes the
// random model of the configuration and takes one step for each t = 1, 2... of which GRADIENTS (safetensors, fp32) has
// "t/NAME" of every parameter; clipped, at the rates of the schedule. OUT gets "0/NAME", the main parameters at the
// start, "t/NAME" after each step; at the end "weight/NAME" (fp32) and each moment as "exp_avg/NAME".
#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/json.h"
#include "rialto/checkpoint/tensors.h"
#include "rialto/formats/safetensors.h"
#include "rialto/optim/grad_norm.h"
#include "rialto/optim/optimizer.h"
#include "rialto/resolve/spelled_model.h"
#include "rialto/train/optimizer_options.h"
#include "rialto/train/schedule_state.h"

namespace rialto {
namespace {

using Words = std::vector<std::string>;
using Tensors = std::map<std::string, at::Tensor>;

Tensors read(const fs::path& path) {
  const ReadFile file(path);
  const formats::SafetensorsHeader header = formats::read_safetensors_header(file);
  Tensors tensors;
  for (const formats::SafetensorsEntry& entry : header.entries) {
    const at::Tensor tensor = at::empty(entry.shape, checkpoint::scalar_type_of(entry.dtype));
    checkpoint::fill_bytes(tensor,
                           [&](std::span<std::byte> bytes) { file.read_at(header.data_start + entry.begin, bytes); });
    tensors[entry.name] = tensor;
  }
  return tensors;
}

void write(const fs::path& path, const Tensors& tensors) {
  std::vector<formats::SafetensorsEntry> entries;
  std::vector<at::Tensor> values;
  for (const auto& [name, tensor] : tensors) {
    entries.push_back(
        {.name = name, .dtype = checkpoint::dtype_of(tensor.scalar_type()), .shape = tensor.sizes().vec()});
    values.push_back(tensor.contiguous());
  }
  formats::write_safetensors(real_file_ops(), path, entries, {},
                             [&](size_t i, const formats::ByteSink& sink) { checkpoint::push_bytes(values[i], sink); });
}

Json rates(const config::RunConfig& config, const Words& counts) {
  const optim::Schedule schedule = train::make_schedule(config);
  Json out = Json::array();
  for (const std::string& count : counts) {
    const optim::Rates at = schedule.at(std::stoll(count));
    out.push_back({at.lr, at.decoupled_lr, at.weight_decay});
  }
  return out;
}

Tensors trace(const config::RunConfig& config, const Tensors& gradients) {
  const at::NoGradGuard no_grad;
  const bool fp32 = config.mixed_precision == "fp32";
  const spec::ModelSpec model = resolve::model_from_section(config.model, {}, fp32 ? DType::kF32 : DType::kBF16);
  model::Weights weights(model, {}, {}, {at::kCPU, fp32 ? at::kFloat : at::kBFloat16}, true);
  weights.init_random(model, static_cast<uint64_t>(config.rng.seed));
  optim::Optimizer optimizer(weights, train::optimizer_options(config));
  const optim::Schedule schedule = train::make_schedule(config);

  Tensors out;
  const auto keep = [&](const std::string& prefix, const char* state, const model::Weight& weight) {
    out[prefix + "/" + weight.param.name] =
        optimizer.read(state, {weight.offset, weight.offset + weight.size}).view(weight.data.sizes()).clone();
  };
  for (const model::Weight& weight : weights.all()) keep("0", "param", weight);
  for (int64_t step = 1; gradients.contains(fmt::format("{}/{}", step, weights.all().front().param.name)); ++step) {
    for (model::Weight& weight : weights.all())
      weight.main_grad.copy_(gradients.at(fmt::format("{}/{}", step, weight.param.name)));
    optimizer.step(schedule.at((step - 1) * config.train.global_batch_size),
                   optim::clip_scale(optim::grad_norm(weights), config.optimizer.clip_grad));
    for (const model::Weight& weight : weights.all()) keep(std::to_string(step), "param", weight);
  }
  for (const model::Weight& weight : weights.all()) {
    out["weight/" + weight.param.name] = weight.data.detach().to(at::kFloat);
    for (const char* moment : optimizer.state_names(weight.param)) keep(moment, moment, weight);
  }
  return out;
}

int run(const Words& words) {
  const auto dashes = std::ranges::find(words, "--");
  if (words.size() < 2 || dashes == words.end() || (words[0] != "schedule" && words[0] != "trace"))
    throw Error(ErrorKind::kUsage, "optim_tool", "see the file's first lines");
  const config::RunConfig config =
      config::read_run_config({.base = {}, .files = {}, .settings = {}, .overrides = {dashes + 1, words.end()}});
  if (words[0] == "schedule")
    std::puts(rates(config, {words.begin() + 1, dashes}).dump().c_str());
  else
    write(words[2], trace(config, read(words[1])));
  return 0;
}

}  // namespace
}  // namespace rialto

int main(int argc, char** argv) {
  try {
    return rialto::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
