// Training as one function, and its result as JSON.
#include "rialto/train/train.h"

#include "rialto/base/hash.h"
#include "rialto/base/version.h"
#include "rialto/train/loop.h"

namespace rialto::train {
namespace {

std::string_view name_of(End end) {
  switch (end) {
    case End::kFinished:
      return "finished";
    case End::kExitInterval:
      return "exit_interval";
    case End::kExitDuration:
      return "exit_duration";
    case End::kStopped:
      return "stopped";
  }
  return "";
}

}  // namespace

Json to_json(const Result& result) {
  Json json = {{"end", name_of(result.end)},
               {"first_iteration", result.first_iteration},
               {"iteration", result.iteration},
               {"lm loss", result.last_loss},
               {"validation loss", nullptr},
               {"checkpoint", nullptr},
               {"metrics", nullptr},
               {"parameters", result.num_parameters},
               {"seconds", result.seconds}};
  if (result.last_eval_loss) json["validation loss"] = *result.last_eval_loss;
  if (result.test_loss) json["test loss"] = *result.test_loss;
  if (result.checkpoint) json["checkpoint"] = result.checkpoint->string();
  if (!result.metrics.empty()) json["metrics"] = result.metrics.string();
  for (const auto& [name, volume] : result.communication)
    json["communication"][name] = {{"calls", volume.calls}, {"bytes", volume.bytes}};
  return json;
}

Result train(const config::RunConfig& config, const Hooks& hooks) {
  if (!hooks.world) return Loop(config, hooks).run();
  config::RunConfig own = config;
  own.world_size = hooks.world->size();
  hooks.world->agree("build", std::string(build_id()));
  const std::string text = config::write_run_config(own);
  hooks.world->agree("configuration", hash_hex(std::as_bytes(std::span(text))));
  Result result = Loop(own, hooks).run();
  result.communication = hooks.world->volumes();
  return result;
}

}  // namespace rialto::train
