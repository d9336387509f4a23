// One table of what Megatron records of a schedule: for writing, comparing and taking over.
#include "rialto/train/schedule_state.h"

#include <cmath>
#include <functional>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/store/checkpoint.h"

namespace rialto::train {
namespace {

/// A recorded value: a number or the name of a style.
struct Row {
  const char* name;  ///< Megatron's
  const char* key;   ///< the configuration's
  std::function<Json(const optim::Schedule&)> get;
  std::function<void(optim::Schedule&, const Json&)> set;
};

/// A fraction of the decay need not be whole; a whole number is recorded as Megatron does, as an integer.
Json count_of(double samples) {
  if (samples == std::floor(samples)) return static_cast<int64_t>(samples);
  return samples;
}

const std::vector<Row>& rows() {
  using S = optim::Schedule;
  using J = const Json&;
  static const std::vector<Row> kRows = {
      {"max_lr", "optimizer.lr", [](const S& s) { return Json(s.lr.max_lr); },
       [](S& s, J value) { s.lr.max_lr = value.get<double>(); }},
      {"lr_warmup_steps", "scheduler.lr_warmup_iters", [](const S& s) { return count_of(s.lr.warmup_samples); },
       [](S& s, J value) { s.lr.warmup_samples = s.decoupled_lr.warmup_samples = value.get<double>(); }},
      {"lr_decay_style", "scheduler.lr_decay_style", [](const S& s) { return Json(name_of(s.lr.style)); },
       [](S& s, J value) { s.lr.style = s.decoupled_lr.style = optim::parse_decay_style(value.get<std::string>()); }},
      {"lr_decay_steps", "scheduler.lr_decay_iters", [](const S& s) { return Json(s.lr.decay_samples); },
       [](S& s, J value) { s.lr.decay_samples = s.decoupled_lr.decay_samples = value.get<int64_t>(); }},
      {"min_lr", "optimizer.min_lr", [](const S& s) { return Json(s.lr.min_lr); },
       [](S& s, J value) { s.lr.min_lr = value.get<double>(); }},
      {"start_wd", "optimizer.weight_decay", [](const S& s) { return Json(s.weight_decay.start); },
       [](S& s, J value) { s.weight_decay.start = value.get<double>(); }},
      {"end_wd", "optimizer.weight_decay", [](const S& s) { return Json(s.weight_decay.end); },
       [](S& s, J value) { s.weight_decay.end = value.get<double>(); }},
      {"wd_incr_style", "scheduler.weight_decay_incr_style",
       [](const S& s) { return Json(name_of(s.weight_decay.style)); },
       [](S& s, J value) { s.weight_decay.style = optim::parse_incr_style(value.get<std::string>()); }},
      {"wd_incr_steps", "train.train_iters", [](const S& s) { return Json(s.weight_decay.incr_samples); },
       [](S& s, J value) { s.weight_decay.incr_samples = value.get<int64_t>(); }},
  };
  return kRows;
}

/// Null for what is neither a number nor a text.
Json plain(const formats::PickleValue& value) {
  switch (value.kind) {
    case formats::PickleValue::Kind::kString:
      return value.text;
    case formats::PickleValue::Kind::kInt:
      return value.integer;
    case formats::PickleValue::Kind::kFloat:
      return value.number;
    default:
      return nullptr;
  }
}

std::string in_words(const Json& value, std::string_view name) {
  if (value.is_string()) return value.get<std::string>();
  return fmt::format("{}{}", value.get<double>(), name.ends_with("_steps") ? " samples" : "");
}

bool same(const Json& a, const Json& b) {
  return a.is_number() && b.is_number() ? a.get<double>() == b.get<double>() : a == b;
}

}  // namespace

optim::Schedule make_schedule(const config::RunConfig& config) {
  const config::SchedulerSection& section = config.scheduler;
  const config::OptimizerSection& optimizer = config.optimizer;
  const config::ScheduleLengths lengths = config::schedule_lengths(config);
  optim::Schedule schedule;
  optim::LrSchedule& lr = schedule.lr;
  lr.init_lr = section.lr_warmup_init;
  lr.max_lr = optimizer.lr;
  lr.min_lr = optimizer.min_lr;
  lr.warmup_samples = lengths.warmup;
  lr.decay_samples = lengths.decay;
  lr.wsd_decay_samples = lengths.wsd_decay;
  lr.style = optim::parse_decay_style(section.lr_decay_style);
  lr.wsd_style = optim::parse_wsd_style(section.lr_wsd_decay_style);
  schedule.decoupled_lr = lr;
  if (optimizer.decoupled_lr) schedule.decoupled_lr.max_lr = *optimizer.decoupled_lr;
  if (optimizer.decoupled_min_lr) schedule.decoupled_lr.min_lr = *optimizer.decoupled_min_lr;
  schedule.weight_decay = {.start = section.start_weight_decay.value_or(optimizer.weight_decay),
                           .end = section.end_weight_decay.value_or(optimizer.weight_decay),
                           .incr_samples = lengths.run,
                           .style = optim::parse_incr_style(section.weight_decay_incr_style)};
  return schedule;
}

Json scheduler_state(const optim::Schedule& schedule, int64_t scheduled_samples) {
  Json state = {{"num_steps", scheduled_samples}};
  for (const Row& row : rows()) state[row.name] = row.get(schedule);
  return state;
}

void check_schedule_unchanged(const fs::path& iter_dir, const optim::Schedule& schedule) {
  const store::CheckpointReader reader(iter_dir);
  const auto common = reader.common();
  const formats::PickleValue* saved = common->get("opt_param_scheduler");
  if (saved == nullptr) return;
  for (const Row& row : rows()) {
    const formats::PickleValue* value = saved->get(row.name);
    // The length of a run may change; that of a weight decay's way may not.
    const bool unused =
        std::string_view(row.name) == "wd_incr_steps" && schedule.weight_decay.style == optim::IncrStyle::kConstant;
    if (value == nullptr || unused) continue;
    const Json now = row.get(schedule), then = plain(*value);
    if (then.is_null() || same(now, then)) continue;
    throw Error(ErrorKind::kConfig, row.key, "the schedule is not the one of the checkpoint",
                {.got = in_words(now, row.name),
                 .want = in_words(then, row.name),
                 .hint = "scheduler.override_opt_param_scheduler=true resumes with the new one, "
                         "scheduler.use_checkpoint_opt_param_scheduler=true with the checkpoint's"});
  }
}

void take_schedule_of(const fs::path& iter_dir, optim::Schedule& schedule) {
  const store::CheckpointReader reader(iter_dir);
  const auto common = reader.common();
  const formats::PickleValue* saved = common->get("opt_param_scheduler");
  if (saved == nullptr)
    throw Error(ErrorKind::kInput, iter_dir.string(), "the checkpoint records no schedule",
                {.hint = "scheduler.use_checkpoint_opt_param_scheduler=false"});
  const bool own_highest = schedule.decoupled_lr.max_lr != schedule.lr.max_lr;
  const bool own_lowest = schedule.decoupled_lr.min_lr != schedule.lr.min_lr;
  for (const Row& row : rows()) {
    const formats::PickleValue* value = saved->get(row.name);
    const Json then = value != nullptr ? plain(*value) : Json();
    if (then.is_null() || then.is_string() != row.get(schedule).is_string())
      throw Error(ErrorKind::kInput, iter_dir.string(), fmt::format("the checkpoint's schedule has no '{}'", row.name));
    row.set(schedule, then);
  }
  if (!own_highest) schedule.decoupled_lr.max_lr = schedule.lr.max_lr;
  if (!own_lowest) schedule.decoupled_lr.min_lr = schedule.lr.min_lr;
}

}  // namespace rialto::train
