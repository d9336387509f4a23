// rialto convert SRC DST
#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/cli/command.h"
#include "rialto/convert/convert.h"
#include "rialto/hub/local_model.h"

namespace rialto::cli {
namespace {

struct Options {
  std::string source, destination, to = "auto", dtype, like, revision;
  int64_t iteration = -1;
  bool overwrite = false, dry_run = false, json = false;
};

convert::ConvertOptions to_options(const Options& given, Context& context) {
  convert::ConvertOptions options;
  options.destination = given.destination;
  options.to = given.to == "hf"         ? convert::Target::kHf
               : given.to == "megatron" ? convert::Target::kMegatron
                                        : convert::Target::kAuto;
  options.fp8_blocks = given.dtype == "fp8-block";
  if (!given.dtype.empty() && !options.fp8_blocks) {
    options.dtype = dtype_from_torch(given.dtype);
    if (!options.dtype)
      throw Error(ErrorKind::kUsage, "--dtype", "unknown type",
                  {.got = given.dtype, .want = "fp32, fp16, bf16 or fp8-block"});
  }
  if (given.iteration >= 0) options.iteration = given.iteration;
  options.overwrite = given.overwrite;
  options.dry_run = given.dry_run;
  options.source = hub::local_model(given.source, given.revision, *context.ops, context.progress,
                                    given.dry_run ? hub::Want::kOutline : hub::Want::kModel);
  if (!given.like.empty()) options.like = hub::local_model(given.like, "", *context.ops, context.progress);
  return options;
}

}  // namespace

void add_convert(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("convert", "Convert a Hugging Face model to a Megatron checkpoint, or back");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("source", options->source,
                   "Hugging Face folder, hub id ORG/NAME[@REVISION], checkpoint root, or one iter_* folder of it")
      ->required();
  command
      ->add_option("destination", options->destination,
                   "Folder to make; must not exist, or be empty, unless --overwrite")
      ->required();
  command->add_option("--to", options->to, "megatron, hf, or auto: the other kind than the source")
      ->check(CLI::IsMember({"auto", "megatron", "hf"}));
  command->add_option(
      "--dtype", options->dtype,
      "Cast weights: fp32, fp16 or bf16 (default: every tensor keeps its bits). To hf: fp8-block codes the "
      "projections of attention and feed-forward layers as DeepSeek-V3 is published");
  command->add_option("--revision", options->revision, "Of a hub id: branch, tag or commit (default: main)");
  command->add_option("--like", options->like,
                      "To hf: take config, tokenizer and file layout from this Hugging Face folder or hub id");
  command
      ->add_option("--iteration", options->iteration,
                   "Which iteration of a checkpoint (default: the one its tracker names)")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--overwrite", options->overwrite, "Replace the destination once the new one is complete");
  command->add_flag(
      "--dry-run", options->dry_run,
      "Plan and prove completeness only, and say how far that went: shapes and names, or names only where an "
      "index is all there is. Reads no weights, writes nothing; of a sharded model on the Hub only config and "
      "index are fetched");
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer(R"(Every tensor is accounted for before a byte is written; the result appears at once or not at all.

Examples:
  rialto convert Qwen3-0.6B qwen3-megatron
  rialto convert Qwen/Qwen3-0.6B qwen3-megatron             fetched into the Hub's cache (HF_HOME, HF_TOKEN...)
  rialto convert qwen3-megatron qwen3-hf --dtype fp32
  rialto convert qwen3-megatron qwen3-fp8 --dtype fp8-block
  rialto convert run/checkpoints out --iteration 2000
  rialto convert from-bridge out --like Qwen3-0.6B          a checkpoint written by another program)");
  command->callback([options, &context] {
    context.action = [options, &context] {
      const convert::ConvertReport report =
          convert::convert(to_options(*options, context), *context.ops, context.progress);
      print_report(options->json, to_json(report), to_text(report));
      return 0;
    };
  });
}

}  // namespace rialto::cli
