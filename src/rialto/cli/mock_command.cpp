// rialto data mock
#include <map>

#include <fmt/format.h>

#include "rialto/cli/data_commands.h"
#include "rialto/data/mock_rows.h"
#include "rialto/formats/indexed_dataset.h"

namespace rialto::cli {
namespace {

struct Options {
  data::MockOptions mock;
  uint64_t rows = 10'000;
  std::string output, prefix;
  bool overwrite = false, json = false;
};

void refuse_existing(const fs::path& path, bool overwrite) {
  if (!overwrite && fs::exists(path))
    throw Error(ErrorKind::kConfig, path.string(), "already exists",
                {.hint = "choose another name or add --overwrite"});
}

/// A line of {"input_ids", "loss_mask"} each, as `data pack` takes them.
void write_rows(const Options& options, FileOps& ops, Progress& told) {
  refuse_existing(options.output, options.overwrite);
  replace_file(ops, options.output, [&](const fs::path& path) {
    const auto file = ops.create(path);
    for (uint64_t i = 0; i < options.rows; ++i) {
      check_cancelled(told, "data mock");
      const data::TokenRow row = data::mock_row(options.mock, i);
      const std::string line = Json{{"input_ids", row.ids}, {"loss_mask", row.mask}}.dump() + "\n";
      file->write(std::as_bytes(std::span(line)));
      told.update(i + 1);
    }
    file->sync();
    file->close();
  });
}

/// A document each.
void write_documents(const Options& options, FileOps& ops, Progress& told) {
  refuse_existing(options.prefix + ".idx", options.overwrite);
  formats::IndexedDatasetWriter writer(ops, options.prefix, options.mock.vocab_size);
  for (uint64_t i = 0; i < options.rows; ++i) {
    check_cancelled(told, "data mock");
    writer.add_document(data::mock_row(options.mock, i).ids);
    told.update(i + 1);
  }
  writer.finish();
}

}  // namespace

void add_data_mock(CLI::App& data, Context& context) {
  static const std::map<std::string, data::MockTask> kTasks{{"copy", data::MockTask::kCopy},
                                                            {"needle", data::MockTask::kNeedle}};
  CLI::App* command =
      data.add_subcommand("mock", "Make up rows whose answers stand in them: to copy, or to find a needle");
  const auto options = std::make_shared<Options>();
  data::MockOptions& mock = options->mock;
  command->add_option("task", mock.task, "copy: symbols twice; needle: the value of one of several keys")
      ->required()
      ->transform(CLI::CheckedTransformer(kTasks));
  command->add_option("--rows", options->rows, "How many")->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--length", mock.length, "Symbols that are copied, or pairs of key and value")
      ->capture_default_str();
  command->add_option("--vocab-size", mock.vocab_size, "Ids: 0 the end, 1 the separator, symbols from 2")
      ->capture_default_str();
  command->add_option("--seed", mock.seed, "Other rows")->capture_default_str();
  CLI::Option* rows = command->add_option("--output", options->output,
                                          "JSON lines of input_ids and loss_mask, which `data pack` takes");
  command->add_option("--output-prefix", options->prefix, "Or a .bin/.idx pair, a document a row, without masks")
      ->excludes(rows);
  command->add_flag("--overwrite", options->overwrite, "Replace existing files");
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer("Example:\n  rialto data mock needle --rows 5000 --length 4 --output needle.jsonl");
  command->callback([options, &context] {
    context.action = [options, &context] {
      data::check_mock(options->mock);
      if (options->output.empty() && options->prefix.empty())
        throw Error(ErrorKind::kUsage, "data mock", "nothing to write", {.want = "--output or --output-prefix"});
      Progress& told = context.progress ? *context.progress : silent();
      told.begin("make up", options->rows, "rows");
      (options->output.empty() ? write_documents : write_rows)(*options, *context.ops, told);
      told.end();
      const uint64_t tokens = options->rows * data::mock_row(options->mock, 0).ids.size();
      const std::string name = options->output.empty() ? options->prefix : options->output;
      print_report(options->json, {{"output", name}, {"rows", options->rows}, {"tokens", tokens}},
                   fmt::format("{}: {} rows, {} tokens\n", name, options->rows, tokens));
      return 0;
    };
  });
}

}  // namespace rialto::cli
