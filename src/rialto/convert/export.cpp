// Native -> Hugging Face.
#include <fmt/format.h>

#include "rialto/base/blocks.h"
#include "rialto/base/error.h"
#include "rialto/convert/coded_output.h"
#include "rialto/convert/destination.h"
#include "rialto/convert/dtypes.h"
#include "rialto/convert/fp8_layout.h"
#include "rialto/convert/opened.h"
#include "rialto/convert/output_plan.h"
#include "rialto/convert/pump.h"
#include "rialto/convert/steps.h"

namespace rialto::convert {
namespace {

/// Whether tensors are coded that the source did not record as codes.
bool codes_anew(const OpenedNative& source, const ConvertOptions& options) {
  return options.fp8_blocks && !source.hf.scales;
}

/// What is asked for decides how much of the recorded layout counts.
OpenedNative open_source(const ConvertOptions& options) {
  const auto open = [&](Follow follow) { return open_native(options.source, options.iteration, options.like, follow); };
  OpenedNative source = open(options.dtype ? Follow::kNumbers : Follow::kRecorded);
  if (options.fp8_blocks) {
    if (holds_fp8_blocks(source) && source.hf.scales) return source;
    if (!source.decoded.coded.empty() || holds_packed_projections(source)) source = open(Follow::kNothing);
    code_projections(source);
  } else if (!source.dtypes_as_recorded && !source.decoded.coded.empty()) {
    source = open(Follow::kNumbers);  // numbers of another type than codes decode to
  }
  return source;
}

/// quantization_config of the output; null: none.
Json quantization_of(const OpenedNative& source, const ConvertOptions& options) {
  if (!options.fp8_blocks) return nullptr;
  return codes_anew(source, options) ? fp8_quantization(source)
                                     : source.hf.config.value("quantization_config", Json(nullptr));
}

/// The dtype that config.json must be made to name; none when it may stay as it is, byte for byte.
std::optional<DType> new_dtype(const OpenedNative& source, const ConvertOptions& options) {
  if (!options.dtype && !codes_anew(source, options) && source.hf.layout && source.dtypes_as_recorded) return {};
  const DType dtype = options.dtype.value_or(main_dtype(source.map));
  if (options.fp8_blocks || source.hf.config.contains("quantization_config")) return dtype;  // which changes or goes
  for (const char* key : {"dtype", "torch_dtype"})
    if (source.hf.config.contains(key) && source.hf.config[key] == torch_name(dtype)) return {};
  return dtype;
}

/// Places in the file are not given yet.
uint64_t bytes_of(const formats::SafetensorsEntry& entry) {
  return static_cast<uint64_t>(num_elements(entry.shape)) * size_of(entry.dtype);
}

void write_weights(const OpenedNative& source, const OutputPlan& plan, const fs::path& folder, FileOps& ops,
                   Progress& progress, ConvertReport& report) {
  bridge::Executor executor(source.map, bridge::Direction::kToHf, source.reader());
  CodedOutput coded(source, executor);
  uint64_t rounded = 0;
  Pump pump([&](const ByteSink& sink) {
    for (const OutputShard& shard : plan.shards)
      for (size_t i = 0; i < shard.tensors.size(); ++i) {
        const OutputTensor& tensor = shard.tensors[i];
        if (tensor.index == OutputTensor::kCoded)
          coded.push(tensor.name, sink);
        else if (tensor.index == OutputTensor::kPassedThrough)
          for_each_block(
              bytes_of(shard.entries[i]),
              [&](uint64_t at, std::span<std::byte> out) { source.hf.pass_through(tensor.name, at, out); }, sink);
        else
          rounded += executor.produce(static_cast<uint32_t>(tensor.index), sink);
      }
  });
  uint64_t done = 0;
  progress.begin("convert", plan.bytes, "bytes");
  for (const OutputShard& shard : plan.shards) {
    formats::write_safetensors(ops, folder / shard.file, shard.entries, shard.metadata,
                               [&](size_t index, const formats::ByteSink& sink) {
                                 pump.take(bytes_of(shard.entries[index]), [&](std::span<const std::byte> part) {
                                   check_cancelled(progress, source.found.iter_dir.string());
                                   sink(part);
                                   done += part.size();
                                   progress.update(done);
                                 });
                               });
  }
  progress.end();
  pump.finish();
  report.rounded_values = rounded;
  if (coded.changed_blocks() == 0 || !source.hf.scales) return;
  report.notices.push_back(
      fmt::format("{} blocks of coded tensors have changed and got new scales", coded.changed_blocks()));
  progress.notice(report.notices.back());
}

void write_companions(const HfSide& side, const fs::path& folder, FileOps& ops) {
  if (!side.companions) return;
  std::vector<std::string> names;
  const bool recorded = side.companions->filename() == hub::kSourceFolder;
  if (recorded || side.companions->filename() == "tokenizer")
    for (const auto& [name, path] : companion_files(*side.companions)) names.push_back(name);
  else
    names = hub::companion_files_of(*side.companions);
  for (const std::string& name : names) {
    if (fs::path(name).has_parent_path()) ops.make_dirs((folder / name).parent_path());
    write_file_synced(ops, folder / name, read_text_file(*side.companions / name, 1u << 30));
    if (fs::path(name).has_parent_path()) ops.sync_dir((folder / name).parent_path());
  }
}

}  // namespace

void export_hf(const ConvertOptions& options, FileOps& ops, Progress& progress, ConvertReport& report) {
  OpenedNative source = open_source(options);
  const std::optional<DType> dtype = new_dtype(source, options);
  if (options.dtype) {
    for (const bridge::Piece& piece : source.map.pieces)
      if (piece.relation != bridge::Relation::kFill && !source.map.native[piece.native.tensor].pinned)
        source.map.hf[piece.hf.tensor].dtype = *options.dtype;
  }
  const OutputPlan plan = plan_output(source);
  report.family = source.resolved.family->name;
  report.architecture = source.hf.config["architectures"][0].get<std::string>();
  report.num_tensors_in = source.map.native.size();
  report.num_tensors_out = 0;
  for (const OutputShard& shard : plan.shards) report.num_tensors_out += shard.tensors.size();
  report.num_pieces = source.map.pieces.size();
  report.parameters = static_cast<uint64_t>(spec::num_parameters(source.resolved.model));
  report.notices = source.notices;
  for (const bridge::Ignored& ignored : source.map.ignored)
    report.ignored.push_back(fmt::format("{}: {}; {}", ignored.name, ignored.reason,
                                         source.hf.pass_through ? "written back as it was" : "not written"));
  if (codes_anew(source, options))
    report.notices.push_back(
        fmt::format("{} tensors coded as {}", source.decoded.coded.size(), name_of(bridge::Codec::kFp8Block)));
  else if (options.fp8_blocks)
    report.notices.emplace_back(
        "the source was FP8 already: the tensors that it coded are codes again, with its scales where nothing changed");
  check_room(options.destination, plan.bytes, options.dry_run ? &report.notices : nullptr);
  for (const std::string& notice : report.notices) progress.notice(notice);
  if (options.dry_run) return;

  Staging staging(ops, options.destination, options.overwrite);
  write_weights(source, plan, staging.path(), ops, progress, report);
  if (plan.indexed) write_file_synced(ops, staging.path() / "model.safetensors.index.json", make_index(plan));
  write_companions(source.hf, staging.path(), ops);
  write_file_synced(ops, staging.path() / "config.json",
                    make_config(source.hf, dtype, quantization_of(source, options)));
  staging.commit();
  for (const bridge::TensorInfo& tensor : source.map.native)
    report.bytes_read += static_cast<uint64_t>(num_elements(tensor.shape)) * size_of(tensor.dtype);
  report.bytes_written = plan.bytes;
}

}  // namespace rialto::convert
