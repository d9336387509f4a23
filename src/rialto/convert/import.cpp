// Hugging Face -> native.
#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/convert/destination.h"
#include "rialto/convert/dtypes.h"
#include "rialto/convert/opened.h"
#include "rialto/convert/steps.h"
#include "rialto/formats/safetensors.h"
#include "rialto/store/checkpoint.h"
#include "rialto/store/common_state.h"

namespace rialto::convert {
namespace {

/// Not 0: Megatron's training reader refuses a bare 0 in the text tracker.
constexpr int64_t kFirstIteration = 1;

uint64_t bytes_of(const std::vector<bridge::TensorInfo>& tensors) {
  uint64_t bytes = 0;
  for (const bridge::TensorInfo& tensor : tensors)
    bytes += static_cast<uint64_t>(num_elements(tensor.shape)) * size_of(tensor.dtype);
  return bytes;
}

/// Tensors without a place in the model are kept, for an exact write-back.
void keep_pass_through(store::CheckpointWriter& writer, const OpenedHf& source) {
  if (source.map.ignored.empty()) return;
  std::vector<formats::SafetensorsEntry> entries;
  for (const bridge::Ignored& ignored : source.map.ignored)
    entries.push_back(source.directory.tensors().at(ignored.name).entry);
  std::string bytes = formats::make_safetensors_header(entries, {});
  for (const formats::SafetensorsEntry& entry : entries) {
    std::string data(entry.size(), '\0');
    source.directory.read(source.directory.tensors().at(entry.name), 0, std::as_writable_bytes(std::span(data)));
    bytes += data;
  }
  writer.add_file(hub::kPassThroughFile, bytes);
}

void keep_source(store::CheckpointWriter& writer, const OpenedHf& source) {
  const fs::path folder = hub::kSourceFolder;
  writer.copy_file((folder / "config.json").string(), source.directory.path() / "config.json");
  for (const std::string& name : source.directory.companion_files())
    writer.copy_file((folder / name).string(), source.directory.path() / name);
  writer.add_file(hub::kLayoutFile, hub::to_json(source.layout).dump() + "\n");
  keep_pass_through(writer, source);
}

}  // namespace

void import_hf(const ConvertOptions& options, FileOps& ops, Progress& progress, ConvertReport& report) {
  OpenedHf source = open_hf(options.source);
  if (options.dtype) {
    cast_native(source.map, *options.dtype);
    source.resolved.model.dtype = *options.dtype;
  }
  const spec::ModelSpec& model = source.resolved.model;
  report.family = source.resolved.family->name;
  report.architecture = source.directory.architecture();
  report.num_tensors_in = source.directory.tensors().size();
  report.num_tensors_out = source.map.native.size();
  report.num_pieces = source.map.pieces.size();
  report.parameters = static_cast<uint64_t>(spec::num_parameters(model));
  for (const bridge::Ignored& ignored : source.map.ignored)
    report.ignored.push_back(fmt::format("{}: {}", ignored.name, ignored.reason));
  const uint64_t total = bytes_of(source.map.native);
  check_room(options.destination, total);
  if (options.dry_run) return;

  Staging staging(ops, options.destination, options.overwrite);
  {
    store::CheckpointWriter writer(ops, staging.path(), kFirstIteration);
    bridge::Executor executor(source.map, bridge::Direction::kToNative, source.reader());
    progress.begin("convert", total, "bytes");
    executor.check_copies();
    uint64_t done = 0;
    for (uint32_t i = 0; i < source.params.size(); ++i) {
      writer.add_chunk(store::chunk_of(source.params[i], source.map.native[i].dtype), [&](const store::ByteSink& sink) {
        report.rounded_values += executor.produce(i, [&](std::span<const std::byte> bytes) {
          check_cancelled(progress, options.source.string());
          sink(bytes);
          done += bytes.size();
          progress.update(done);
        });
      });
    }
    writer.add_extra_states(model);
    writer.add_file("run_config.yaml", resolve::run_config_from_model(model));
    keep_source(writer, source);
    writer.set_fact("family", report.family);
    writer.set_fact("true_vocab", model.vocab);
    writer.set_fact("layout", {{"tp", 1}, {"pp", 1}, {"ep", 1}});
    if (report.rounded_values > 0)
      writer.set_fact("notes", {fmt::format("{} values were rounded to {} on import", report.rounded_values,
                                            torch_name(*options.dtype))});
    writer.commit(store::make_common(model, kFirstIteration, false), {.step = kFirstIteration});
    progress.end();
  }
  staging.commit();
  report.bytes_read = bytes_of(source.map.hf);
  report.bytes_written = total;
}

}  // namespace rialto::convert
