// Hugging Face -> native.
#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/convert/destination.h"
#include "rialto/convert/dtypes.h"
#include "rialto/convert/steps.h"
#include "rialto/resolve/architecture.h"
#include "rialto/source/keep.h"
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

/// What is worth knowing of a source that converts.
std::vector<std::string> notices_of(const source::HfWeights& source) {
  std::vector<std::string> notices;
  if (&source.directory.format() == &hub::kPickleFormat)
    notices.push_back(
        fmt::format("the weights are read from {}; an export writes safetensors",
                    source.directory.has_index() ? hub::kPickleFormat.index_file : hub::kPickleFormat.single_file));
  if (const std::string code = resolve::remote_code_of(source.directory.config()); !code.empty())
    notices.push_back(fmt::format(
        "config.json names Python code ({}) that is neither run nor carried along: a program that runs it wants its "
        "files beside an export",
        code));
  if (!source.decoded.coded.empty())
    notices.push_back(fmt::format(
        "{} tensors decoded ({}); their scales are kept, so that unchanged weights go back as the codes they were",
        source.decoded.coded.size(), bridge::name_of(source.decoded.coded.front().codec)));
  if (source.names_only)
    notices.push_back(fmt::format("{} of {} tensors are known from the index only: their shards are not here",
                                  source.directory.unseen().size(),
                                  source.directory.tensors().size() + source.directory.unseen().size()));
  return notices;
}

}  // namespace

void import_hf(const ConvertOptions& options, FileOps& ops, Progress& progress, ConvertReport& report) {
  source::HfWeights source = source::open_hf_weights(options.source, nullptr,
                                                     options.dry_run ? hub::Absent::kNamesOnly : hub::Absent::kRefused);
  const std::vector<spec::Param> params = spec::param_table(source.resolved.model);
  join_stacks(source.map, params);
  source.resolved.model.dtype = main_dtype(source.map);  // config.json may say otherwise; what is stored counts
  if (options.dtype) {
    cast_native(source.map, *options.dtype);
    source.resolved.model.dtype = *options.dtype;
  }
  const spec::ModelSpec& model = source.resolved.model;
  report.family = source.resolved.family->name;
  report.architecture = source.directory.architecture();
  report.num_tensors_in = source.directory.tensors().size() + source.directory.unseen().size();
  report.names_only = source.names_only;
  report.num_tensors_out = source.map.native.size();
  report.num_pieces = source.map.pieces.size();
  report.parameters = static_cast<uint64_t>(spec::num_parameters(model));
  for (const bridge::Ignored& ignored : source.map.ignored)
    report.ignored.push_back(fmt::format("{}: {}", ignored.name, ignored.reason));
  report.notices = notices_of(source);
  const uint64_t total = bytes_of(source.map.native);
  check_room(options.destination, total, options.dry_run ? &report.notices : nullptr);
  for (const std::string& notice : report.notices) progress.notice(notice);
  if (options.dry_run) return;

  Staging staging(ops, options.destination, options.overwrite);
  {
    store::CheckpointWriter writer(ops, staging.path(), kFirstIteration);
    bridge::Executor executor(source.map, bridge::Direction::kToNative, source.reader());
    progress.begin("convert", total, "bytes");
    executor.check_copies();
    uint64_t done = 0;
    for (uint32_t i = 0; i < params.size(); ++i) {
      writer.add_chunk(store::chunk_of(params[i], source.map.native[i].dtype), [&](const store::ByteSink& sink) {
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
    source::keep_source(writer, source);
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
