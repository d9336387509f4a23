// rialto report RUN... and rialto runs [DIR]: what training runs left behind.
#include <fmt/format.h>

#include "rialto/cli/command.h"
#include "rialto/report/page.h"

namespace rialto::cli {
namespace {

struct Options {
  std::vector<std::string> runs;
  std::string output = "report.html", folder = ".";
  bool json = false;
};

}  // namespace

void add_report(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("report", "Draw the curves of training runs as one HTML page");
  const auto options = std::make_shared<Options>();
  command->add_option("run", options->runs, "folder that a run saves to, or its metrics.jsonl; several are compared")
      ->required();
  command->add_option("-o,--output", options->output, "file that gets the page")->capture_default_str();
  command->footer(R"(Example:
  rialto report runs/a runs/b -o compare.html)");
  command->callback([options, &context] {
    context.action = [options, &context] {
      std::vector<report::RunFolder> runs;
      for (const std::string& path : options->runs) runs.push_back(report::read_run(path));
      write_file_atomically(*context.ops, options->output, report::page(runs));
      fmt::print("{}\n", options->output);
      return 0;
    };
  });
}

void add_runs(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("runs", "List the training runs below a folder");
  const auto options = std::make_shared<Options>();
  command->add_option("folder", options->folder, "where to look, three levels down")->capture_default_str();
  command->add_flag("--json", options->json, "Report as JSON");
  command->callback([options, &context] {
    context.action = [options] {
      std::vector<report::RunFolder> runs;
      for (const fs::path& path : report::find_runs(options->folder)) runs.push_back(report::read_run(path));
      const Json table = report::runs_table(runs);
      print_report(options->json, table, report::runs_text(table));
      return 0;
    };
  });
}

}  // namespace rialto::cli
