// rialto config show|diff|explain|check
#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/cli/command.h"
#include "rialto/cli/config_report.h"
#include "rialto/cli/run_check.h"
#include "rialto/cli/train_options.h"
#include "rialto/config/run_config.h"

namespace rialto::cli {
namespace {

struct ShowOptions {
  config::ConfigSources sources;
  bool changed = false, json = false;
};

void add_show(CLI::App& parent, Context& context) {
  CLI::App* command = parent.add_subcommand("show", "The whole configuration of a run, as YAML that loads again");
  const auto options = std::make_shared<ShowOptions>();
  add_sources(*command, options->sources, false);
  command->add_flag("--changed", options->changed, "Only the keys whose value is not the default");
  command->add_flag("--json", options->json, "As JSON");
  command->footer(std::string(kOverrideHelp) + R"(

Examples:
  rialto config show                                       every key with its default
  rialto config show quickstart train.train_iters=500      a recipe with a change
  rialto config show quickstart > my.yaml                  a file to start from)");
  command->callback([options, &context] {
    context.action = [options] {
      const config::RunConfig config = config::read_run_config(options->sources);
      const Json json = options->changed ? changed_to_json(config) : config_to_json(config);
      print_report(options->json, json,
                   options->changed ? config::write_changed(config) : config::write_run_config(config));
      return 0;
    };
  });
}

struct DiffOptions {
  std::string a, b;
  bool json = false;
};

void add_diff(CLI::App& parent, Context& context) {
  CLI::App* command = parent.add_subcommand("diff", "What two configurations differ in, or one from the defaults");
  const auto options = std::make_shared<DiffOptions>();
  command->add_option("a", options->a, "YAML file or recipe")->required();
  command->add_option("b", options->b, "YAML file or recipe; unset: A is compared with the defaults");
  command->add_flag("--json", options->json, "As JSON");
  command->footer(R"(One line for each key: its value in A -> in B; with A alone: default -> in A.

Examples:
  rialto config diff quickstart
  rialto config diff run1/run_config.yaml run2/run_config.yaml)");
  command->callback([options, &context] {
    context.action = [options] {
      const auto read = [](const std::string& base) { return config::read_run_config(base, {}); };
      const Json diff =
          options->b.empty() ? config_diff({}, read(options->a)) : config_diff(read(options->a), read(options->b));
      print_report(options->json, diff, diff_to_text(diff));
      return 0;
    };
  });
}

struct ExplainOptions {
  std::string name;
  bool json = false, markdown = false;
};

void add_explain(CLI::App& parent, Context& context) {
  CLI::App* command =
      parent.add_subcommand("explain", "What a key means, its type, default and rules, and whether it acts");
  const auto options = std::make_shared<ExplainOptions>();
  command->add_option("key", options->name, "section.key, or a section; unset: the sections");
  command->add_flag("--json", options->json, "As JSON");
  command->add_flag("--markdown", options->markdown, "The tables of docs/training/configuration.md");
  command->footer(R"(Examples:
  rialto config explain train.global_batch_size
  rialto config explain model.recompute_granularity        a key of Megatron Bridge that does not act, and why
  rialto config explain scheduler)");
  command->callback([options, &context] {
    context.action = [options] {
      if (options->markdown) {
        fmt::print("{}", keys_markdown());
        return 0;
      }
      const Json report = explain(options->name);
      print_report(options->json, report, explain_to_text(report));
      return 0;
    };
  });
}

struct CheckOptions {
  config::ConfigSources sources;
  std::optional<int64_t> gpus;
  bool json = false;
};

int check(const CheckOptions& options) {
  const std::vector<config::Problem> problems = check_run(options.sources, options.gpus);
  const Json report = problems_to_json(problems);
  print_report(options.json, report, problems_to_text(report));
  return mistakes_of(problems).empty() ? 0 : exit_code(ErrorKind::kConfig);
}

void add_check(CLI::App& parent, Context& context) {
  CLI::App* command =
      parent.add_subcommand("check", "Every mistake of a training configuration at once; exit 2 when there is one");
  const auto options = std::make_shared<CheckOptions>();
  add_sources(*command, options->sources, true);
  command->add_option("--gpus", options->gpus, "Processes of the run; unset: recipe.gpus, else 1")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));
  command->add_flag("--json", options->json, "As JSON");
  command->footer(std::string(kOverrideHelp) + R"(

Rules have numbers (R003); docs/training/configuration.md lists them. They are checked once every key can be read, with the
model that the run trains and the files that it needs. What a run of this version cannot do, though the configuration is
sound, is listed apart, and is no mistake here; `rialto train` refuses it.

Examples:
  rialto config check my.yaml
  rialto config check llama3_70b_pretrain --gpus 64        is the layout legal there?
  rialto config check quickstart dataset.data_path=data/train)");
  command->callback([options, &context] { context.action = [options] { return check(*options); }; });
}

}  // namespace

void add_config(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("config", "Show, compare, explain and check training configurations");
  command->require_subcommand(1);
  command->footer(R"(Examples:
  rialto config show quickstart train.train_iters=500      the whole configuration, as YAML that loads again
  rialto config diff quickstart my.yaml                    what differs
  rialto config explain train.global_batch_size            what a key is
  rialto config check my.yaml                              every mistake at once)");
  add_show(*command, context);
  add_diff(*command, context);
  add_explain(*command, context);
  add_check(*command, context);
}

}  // namespace rialto::cli
