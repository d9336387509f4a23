// rialto recipes, rialto recipes show NAME
#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/cli/command.h"
#include "rialto/cli/config_report.h"
#include "rialto/config/recipes.h"

namespace rialto::cli {
namespace {

Json list_recipes() {
  Json list = Json::array();
  for (const config::Recipe& recipe : config::recipes()) {
    if (recipe.is_base()) continue;
    const config::RunConfig config = config::read_run_config(std::string(recipe.name), {});
    list.push_back({{"name", recipe.name},
                    {"what", config::summary(recipe)},
                    {"model", config.recipe.model},
                    {"gpus", config.recipe.gpus.value_or(1)},
                    {"layout", config::layout_text(config.parallel)},
                    {"seq_length", config.model.seq_length() ? Json(*config.model.seq_length()) : Json(nullptr)},
                    {"global_batch_size", config.train.global_batch_size}});
  }
  return list;
}

std::string recipes_to_text(const Json& list) {
  std::string text = fmt::format("{:26}{:>5}  {:38}{}\n", "name", "GPUs", "model", "what");
  for (const Json& row : list)
    text += fmt::format("{:26}{:5}  {:38}{}\n", row["name"].get<std::string>(), row["gpus"].get<int64_t>(),
                        row["model"].get<std::string>(), row["what"].get<std::string>());
  return text;
}

/// Of the published models.
std::string recipes_markdown(const Json& list) {
  std::string text = "| recipe | model | GPUs | layout | sequence | global batch |\n|---|---|---|---|---|---|\n";
  for (const Json& row : list)
    if (!row["model"].get<std::string>().empty())
      text += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", row["name"].get<std::string>(),
                          row["model"].get<std::string>(), row["gpus"].get<int64_t>(), row["layout"].get<std::string>(),
                          row["seq_length"].get<int64_t>(), row["global_batch_size"].get<int64_t>());
  return text;
}

struct RecipesOptions {
  bool json = false, markdown = false;
};

void add_show(CLI::App& parent, bool& json, Context& context) {
  CLI::App* command = parent.add_subcommand("show", "A recipe with everything that it stands on, as YAML that loads");
  const auto name = std::make_shared<std::string>();
  command->add_option("name", *name, "Name of a recipe")->required();
  command->add_flag("--json", json, "As JSON");
  command->callback([name, &json, &context] {
    context.action = [name, &json] {
      if (!config::find_recipe(*name)) {
        std::vector<std::string> names;
        for (const config::Recipe& recipe : config::recipes()) names.emplace_back(recipe.name);
        const std::string near = nearest(*name, names);
        throw Error(ErrorKind::kUsage, "rialto recipes show", fmt::format("no recipe '{}'", *name),
                    {.hint = near.empty() ? "rialto recipes" : fmt::format("did you mean '{}'?", near)});
      }
      const config::RunConfig config = config::read_run_config(*name, {});
      print_report(json, changed_to_json(config), config::write_changed(config));
      return 0;
    };
  });
}

}  // namespace

void add_recipes(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("recipes", "The built-in training recipes");
  const auto options = std::make_shared<RecipesOptions>();
  command->add_flag("--json", options->json, "As JSON");
  command->add_flag("--markdown", options->markdown, "The table of docs/training/recipes.md");
  command->require_subcommand(0, 1);
  command->footer(R"(Examples:
  rialto recipes                                           every recipe
  rialto recipes show llama32_1b_pretrain                  one, resolved
  rialto config show llama32_1b_pretrain                   the same with every default)");
  command->callback([options, &context] {
    if (context.action) return;  // a subcommand was chosen
    context.action = [options] {
      const Json list = list_recipes();
      print_report(options->json, list, options->markdown ? recipes_markdown(list) : recipes_to_text(list));
      return 0;
    };
  });
  add_show(*command, options->json, context);
}

}  // namespace rialto::cli
