// Which way to convert, and the checks both ways share.
#include "rialto/convert/convert.h"

#include <chrono>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/convert/destination.h"
#include "rialto/convert/steps.h"
#include "rialto/hub/hf_directory.h"
#include "rialto/store/checkpoint.h"

namespace rialto::convert {

void check_weight_dtype(DType dtype) {
  if (dtype != DType::kF32 && dtype != DType::kF16 && dtype != DType::kBF16)
    throw Error(ErrorKind::kConfig, "--dtype", "weights cannot be cast to this type",
                {.got = std::string(torch_name(dtype)), .want = "fp32, fp16 or bf16"});
}

ConvertReport convert(const ConvertOptions& options, FileOps& ops, Progress* maybe_progress) {
  Progress& progress = maybe_progress ? *maybe_progress : silent();
  const auto start = std::chrono::steady_clock::now();
  if (!fs::exists(options.source)) throw Error(ErrorKind::kInput, options.source.string(), "there is nothing here");
  const bool native = store::is_native_checkpoint(options.source);
  if (!native && !hub::is_hf_directory(options.source))
    throw Error(ErrorKind::kInput, options.source.string(),
                "neither a Hugging Face model (no config.json) nor a Megatron checkpoint (no .metadata, no iter_*)");
  if (options.to == (native ? Target::kMegatron : Target::kHf))
    throw Error(ErrorKind::kConfig, options.source.string(), "the source is of the wanted kind already",
                {.got = native ? "megatron" : "hf"});
  if (options.dtype) check_weight_dtype(*options.dtype);
  if (!native && options.fp8_blocks)
    throw Error(ErrorKind::kConfig, "--dtype", "a Megatron checkpoint holds numbers, not codes",
                {.got = "fp8-block", .want = "fp32, fp16 or bf16"});
  if (!native && options.like)
    throw Error(ErrorKind::kConfig, "--like", "only an export to Hugging Face takes a folder to be like");
  if (!native && options.iteration)
    throw Error(ErrorKind::kConfig, "--iteration", "a Hugging Face model has no iterations");
  check_destination(options.source, options.destination, options.overwrite, options.like);

  ConvertReport report;
  report.from = native ? "megatron" : "hf";
  report.to = native ? "hf" : "megatron";
  report.source = options.source;
  report.destination = options.destination;
  report.dry_run = options.dry_run;
  if (native)
    export_hf(options, ops, progress, report);
  else
    import_hf(options, ops, progress, report);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace rialto::convert
