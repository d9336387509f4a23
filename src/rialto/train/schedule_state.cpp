// The schedule of a configuration and of a checkpoint.
#include "rialto/train/schedule_state.h"

#include <map>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/config/batch_sizes.h"
#include "rialto/store/checkpoint.h"

namespace rialto::train {

optim::LrSchedule make_schedule(const config::RunConfig& config) {
  const config::SchedulerSection& section = config.scheduler;
  const int64_t batch = config.train.global_batch_size;
  optim::LrSchedule schedule;
  schedule.init_lr = section.lr_warmup_init;
  schedule.max_lr = config.optimizer.lr;
  schedule.min_lr = config.optimizer.min_lr;
  schedule.warmup_samples = section.lr_warmup_iters * batch;
  schedule.decay_samples =
      section.lr_decay_iters ? *section.lr_decay_iters * batch : config::planned_samples(config.train);
  schedule.wsd_decay_samples = section.lr_wsd_decay_iters.value_or(0) * batch;
  schedule.style = optim::parse_decay_style(section.lr_decay_style);
  schedule.wsd_style = optim::parse_wsd_style(section.lr_wsd_decay_style);
  return schedule;
}

optim::Rates rates_at(const config::RunConfig& config, const optim::LrSchedule& schedule, int64_t samples) {
  const double lr = schedule.lr_at(samples);
  return {.lr = lr, .decoupled_lr = lr, .weight_decay = config.optimizer.weight_decay};
}

Json scheduler_state(const config::RunConfig& config, const optim::LrSchedule& schedule, int64_t scheduled_samples) {
  return {{"max_lr", schedule.max_lr},
          {"lr_warmup_steps", schedule.warmup_samples},
          {"num_steps", scheduled_samples},
          {"lr_decay_style", config.scheduler.lr_decay_style},
          {"lr_decay_steps", schedule.decay_samples},
          {"min_lr", schedule.min_lr},
          {"start_wd", config.optimizer.weight_decay},
          {"end_wd", config.optimizer.weight_decay},
          {"wd_incr_style", "constant"},
          {"wd_incr_steps", config::planned_samples(config.train)}};
}

void check_schedule_unchanged(const fs::path& iter_dir, const Json& current) {
  const store::CheckpointReader reader(iter_dir);
  const auto common = reader.common();
  const formats::PickleValue* saved = common->get("opt_param_scheduler");
  if (saved == nullptr) return;
  const std::map<std::string, std::string> keys = {{"max_lr", "optimizer.lr"},
                                                   {"min_lr", "optimizer.min_lr"},
                                                   {"lr_warmup_steps", "scheduler.lr_warmup_iters"},
                                                   {"lr_decay_steps", "scheduler.lr_decay_iters"},
                                                   {"lr_decay_style", "scheduler.lr_decay_style"},
                                                   {"start_wd", "optimizer.weight_decay"}};
  for (const auto& [name, key] : keys) {
    const formats::PickleValue* value = saved->get(name);
    if (value == nullptr) continue;
    const Json& now = current.at(name);
    std::string then;
    bool same = true;
    using Kind = formats::PickleValue::Kind;
    if (value->kind == Kind::kString) {
      then = value->text;
      same = now.is_string() && now.get<std::string>() == value->text;
    } else if (value->kind == Kind::kInt || value->kind == Kind::kFloat) {
      const double number = value->kind == Kind::kInt ? static_cast<double>(value->integer) : value->number;
      then = fmt::format("{}", number);
      same = now.is_number() && now.get<double>() == number;
    }
    if (!same) {
      throw Error(
          ErrorKind::kConfig, key, "the schedule is not the one of the checkpoint",
          {.got = now.is_string() ? now.get<std::string>()
                                  : fmt::format("{}", now.get<double>()) + (name.ends_with("_steps") ? " samples" : ""),
           .want = then + (name.ends_with("_steps") ? " samples" : ""),
           .hint = "scheduler.override_opt_param_scheduler=true resumes with the new one"});
    }
  }
}

}  // namespace rialto::train
