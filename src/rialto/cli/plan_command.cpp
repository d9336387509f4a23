// rialto plan --schedule: the pipeline order of every rank, printed before any rank runs.
#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/cli/command.h"
#include "rialto/schedule/timing.h"

namespace rialto::cli {
namespace {

struct Options {
  int stages = 1, chunks = 1, microbatches = 1, group = 0;
  bool schedule = false, split = false, forward_only = false, actions = false, json = false;
};

constexpr int kMostStages = 4096, kMostChunks = 256, kMostMicrobatches = 1 << 16;
constexpr int64_t kMostWork = int64_t{1} << 23;  ///< forwards of all ranks: some seconds and 1 GB

using Orders = std::vector<std::vector<schedule::Action>>;

Orders make_orders(const Options& options) {
  const int64_t work = int64_t{options.stages} * options.chunks * options.microbatches;
  if (work > kMostWork)
    throw Error(ErrorKind::kUsage, "rialto plan", "too much to print",
                {.got = fmt::format("{} forward passes", work), .want = fmt::format("at most {}", kMostWork)});
  const spec::Layout layout{.pp = options.stages, .vpp = options.chunks};
  const schedule::OrderOptions order{
      .microbatch_group = options.group, .split_weight_gradients = options.split, .forward_only = options.forward_only};
  Orders ranks;
  for (int rank = 0; rank < options.stages; ++rank)
    ranks.push_back(schedule::pipeline_order(layout, rank, options.microbatches, order));
  if (const std::string trouble = schedule::find_deadlock(ranks); !trouble.empty())
    throw Error(ErrorKind::kInternal, "schedule", trouble);
  return ranks;
}

/// Micro-batches whose forward has run and whose backward has not, at most.
int most_held(const std::vector<schedule::Action>& actions) {
  int held = 0, most = 0;
  for (const schedule::Action& action : actions) {
    held += action.act == schedule::Act::kForward ? 1 : action.act == schedule::Act::kBackward ? -1 : 0;
    most = std::max(most, held);
  }
  return most;
}

std::string compact(const schedule::Action& action, bool chunks) {
  const char* letter = action.act == schedule::Act::kForward ? "F" : action.act == schedule::Act::kBackward ? "B" : "W";
  return chunks ? fmt::format("{}{}.{}", letter, action.microbatch, action.chunk)
                : fmt::format("{}{}", letter, action.microbatch);
}

std::string to_text(const Options& options, const Orders& ranks, const schedule::Timing& timing) {
  std::string text = fmt::format("{} stages", options.stages);
  if (options.chunks > 1) text += fmt::format(" x {} chunks", options.chunks);
  text += fmt::format(", {} micro-batches; free of deadlock; waits {:.1f} % of the time (backward = 2 forwards)\n",
                      options.microbatches, 100 * timing.idle_fraction());
  text += options.chunks > 1 ? "F forward, B backward, W weight gradients, of MICRO-BATCH.CHUNK\n"
                             : "F forward, B backward, W weight gradients, of MICRO-BATCH\n";
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    text += fmt::format("rank {} (holds at most {}):", rank, most_held(ranks[rank]));
    if (options.actions) {
      for (const schedule::Action& action : ranks[rank]) text += "\n  " + schedule::to_text(action);
    } else {
      for (const schedule::Span& span : timing.spans[rank]) text += " " + compact(span.action, options.chunks > 1);
    }
    text += "\n";
  }
  return text;
}

Json to_json(const Options& options, const Orders& ranks, const schedule::Timing& timing) {
  Json json = {{"stages", options.stages},
               {"chunks", options.chunks},
               {"micro_batches", options.microbatches},
               {"idle_fraction", timing.idle_fraction()},
               {"ranks", Json::array()}};
  for (const auto& actions : ranks) {
    Json rank = {{"most_held", most_held(actions)}, {"actions", Json::array()}};
    for (const schedule::Action& action : actions) rank["actions"].push_back(schedule::to_text(action));
    json["ranks"].push_back(std::move(rank));
  }
  return json;
}

}  // namespace

void add_plan(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("plan", "Say how a run would go before it starts: the pipeline's schedule");
  const auto options = std::make_shared<Options>();
  command->add_flag("--schedule", options->schedule, "The order of every pipeline rank")->required();
  command->add_option("--pp", options->stages, "Pipeline stages")->check(CLI::Range(1, kMostStages));
  command->add_option("--vpp", options->chunks, "Chunks of each stage (virtual stages)")
      ->check(CLI::Range(1, kMostChunks));
  command->add_option("--microbatches", options->microbatches, "Micro-batches of an iteration")
      ->required()
      ->check(CLI::Range(1, kMostMicrobatches));
  command->add_option("--group", options->group, "Micro-batches that a chunk runs in a row; default: --pp")
      ->check(CLI::Range(1, kMostMicrobatches));
  command->add_flag("--split-weight-gradients", options->split, "Weight gradients apart, to fill the drain");
  command->add_flag("--forward-only", options->forward_only, "As evaluation runs it");
  command->add_flag("--actions", options->actions, "Every action: posts and waits too");
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer(R"(Examples:
  rialto plan --schedule --pp 4 --microbatches 8
  rialto plan --schedule --pp 4 --vpp 2 --microbatches 8 --split-weight-gradients)");
  command->callback([options, &context] {
    context.action = [options] {
      const Orders ranks = make_orders(*options);
      const schedule::Timing timing = schedule::play(ranks);
      print_report(options->json, to_json(*options, ranks, timing), to_text(*options, ranks, timing));
      return 0;
    };
  });
}

}  // namespace rialto::cli
