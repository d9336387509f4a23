// Writing a checkpoint in commit order: data, descriptions, manifest, rename, trackers.
#include <set>

#include <fmt/format.h>

#include "rialto/base/blocks.h"
#include "rialto/base/error.h"
#include "rialto/store/checkpoint.h"
#include "rialto/store/data_files.h"
#include "rialto/store/manifest.h"
#include "rialto/store/names.h"
#include "rialto/store/train_state.h"

namespace rialto::store {
namespace {

constexpr std::string_view kMetadataJsonText =
    R"({"sharded_backend": "torch_dist", "sharded_backend_version": 1, "common_backend": "torch", "common_backend_version": 1})";

std::string data_file_of(const std::string& key) {
  return std::string(key.starts_with(kOptimizerPrefix) ? kOptimizerData : kModelData);
}

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

}  // namespace

ChunkSpec chunk_of(const spec::Param& param, DType dtype, const std::string& prefix) {
  ChunkSpec chunk{.key = prefix + param.disk.key,
                  .aliases = {},
                  .dtype = dtype,
                  .shape = param.disk.shape(param.shape),
                  .offsets = {},
                  .sizes = {}};
  for (const std::string& alias : param.disk.aliases) chunk.aliases.push_back(prefix + alias);
  for (const spec::DiskAxis& axis : param.disk.axes) {
    chunk.offsets.push_back(axis.index);
    chunk.sizes.push_back(1);
  }
  chunk.offsets.insert(chunk.offsets.end(), param.shape.size(), 0);
  chunk.sizes.insert(chunk.sizes.end(), param.shape.begin(), param.shape.end());
  return chunk;
}

struct CheckpointWriter::Impl {
  FileOps& ops;
  fs::path root, final_dir, temporary;
  int64_t iteration;
  bool replace, committed = false;
  std::unique_ptr<DataFiles> data;
  formats::DcpMetadata metadata;
  std::map<std::string, formats::FileSpan> objects;  ///< hash -> where those bytes are stored
  std::vector<FileRecord> files;
  std::set<fs::path> folders;
  Json facts = Json::object();

  void place(const ChunkSpec& chunk, const std::string& key, const formats::FileSpan& span) {
    const auto [found, fresh] = metadata.tensors.try_emplace(key, formats::DcpTensor{chunk.dtype, chunk.shape, {}});
    formats::DcpTensor& tensor = found->second;
    if (!fresh && (tensor.dtype != chunk.dtype || tensor.shape != chunk.shape))
      throw Error(ErrorKind::kInternal, key, "chunks of one tensor disagree",
                  {.got = fmt::format("{} {}", torch_name(chunk.dtype), to_text(chunk.shape)),
                   .want = fmt::format("{} {}", torch_name(tensor.dtype), to_text(tensor.shape))});
    tensor.chunks.push_back({chunk.offsets, chunk.sizes, span});
  }

  fs::path prepare(const std::string& relative) {
    const fs::path path = temporary / relative;
    if (!is_inside(relative)) throw Error(ErrorKind::kInternal, relative, "a file outside the checkpoint");
    if (folders.insert(path.parent_path()).second) ops.make_dirs(path.parent_path());
    return path;
  }

  void add_file(const std::string& relative, std::string_view bytes) {
    write_file_synced(ops, prepare(relative), bytes);
    files.push_back({relative, bytes.size(), hash_hex(bytes_of(bytes))});
  }
};

CheckpointWriter::CheckpointWriter(FileOps& ops, const fs::path& root, int64_t iteration, bool replace)
    : impl_(std::make_unique<Impl>(Impl{.ops = ops,
                                        .root = root,
                                        .final_dir = root / iter_name(iteration),
                                        .temporary = root / (".tmp." + iter_name(iteration)),
                                        .iteration = iteration,
                                        .replace = replace,
                                        .data = nullptr,
                                        .metadata = {},
                                        .objects = {},
                                        .files = {},
                                        .folders = {}})) {
  if (fs::exists(impl_->final_dir) && !replace)
    throw Error(ErrorKind::kConfig, impl_->final_dir.string(), "there is a checkpoint of this iteration already");
  ops.remove_all(impl_->temporary);  // left by an interrupted save
  ops.make_dirs(impl_->temporary);
  impl_->folders.insert(impl_->temporary);
  impl_->data = std::make_unique<DataFiles>(ops, impl_->temporary);
}

CheckpointWriter::~CheckpointWriter() {
  if (!impl_ || impl_->committed) return;
  impl_->data.reset();
  try {
    impl_->ops.remove_all(impl_->temporary);
  } catch (const Error&) {
    // The next save of this iteration removes it; readers never look at it.
  }
}

void CheckpointWriter::add_chunk(const ChunkSpec& chunk, const std::function<void(const ByteSink&)>& fill) {
  Impl& impl = *impl_;
  ChunkRecord record;
  record.key = chunk.key;
  record.dtype = chunk.dtype;
  record.shape = chunk.shape;
  record.offsets = chunk.offsets;
  record.sizes = chunk.sizes;
  impl.data->add_tensor(data_file_of(chunk.key), std::move(record), fill);
  const formats::FileSpan span = impl.data->chunks().back().archive;
  impl.place(chunk, chunk.key, span);
  for (const std::string& alias : chunk.aliases) impl.place(chunk, alias, span);
}

void CheckpointWriter::add_alias(const ChunkSpec& chunk, const std::string& key) {
  const auto found = impl_->metadata.tensors.find(chunk.key);
  if (found != impl_->metadata.tensors.end())
    for (const formats::DcpChunk& stored : found->second.chunks)
      if (stored.offsets == chunk.offsets) return impl_->place(chunk, key, formats::FileSpan(stored.span));
  throw Error(ErrorKind::kInternal, key, fmt::format("alias of '{}', which is not stored", chunk.key));
}

void CheckpointWriter::add_object(const std::string& key, const std::string& bytes) {
  const auto [found, fresh] = impl_->objects.try_emplace(hash_hex(bytes_of(bytes)));
  if (fresh) found->second = impl_->data->add_bytes(data_file_of(key), bytes);
  if (!impl_->metadata.objects.try_emplace(key, found->second).second)
    throw Error(ErrorKind::kInternal, key, "object added twice");
}

void CheckpointWriter::add_extra_states(const spec::ModelSpec& model) {
  // What TransformerEngine saves without FP8: a list of one empty byte tensor.
  const std::string empty =
      formats::make_torch_file(*formats::p_list({formats::p_tensor(DType::kU8, {0}, "0")}), {{"0", ""}});
  for (const spec::ExtraState& state : spec::extra_state_table(model)) add_object(state.full_key(), empty);
}

void CheckpointWriter::add_file(const std::string& relative, std::string_view bytes) {
  impl_->add_file(relative, bytes);
}

void CheckpointWriter::add_file(const std::string& relative, const std::function<void(const ByteSink&)>& fill) {
  const std::unique_ptr<WriteFile> out = impl_->ops.create(impl_->prepare(relative));
  Hasher hash;
  fill([&](std::span<const std::byte> part) {
    hash.update(part);
    out->write(part);
  });
  const uint64_t size = out->position();
  out->sync();
  out->close();
  impl_->files.push_back({relative, size, hash.hex()});
}

void CheckpointWriter::copy_file(const std::string& relative, const fs::path& from) {
  const ReadFile source(from);
  add_file(relative, [&](const ByteSink& sink) {
    for_each_block(source.size(), [&](uint64_t at, std::span<std::byte> out) { source.read_at(at, out); }, sink);
  });
}

void CheckpointWriter::set_fact(const std::string& key, const Json& value) { impl_->facts[key] = value; }

void CheckpointWriter::commit(const formats::PickleValue& common, const TrainState& state,
                              const std::vector<std::pair<std::string, std::string>>& storages) {
  Impl& impl = *impl_;
  impl.data->finish();
  for (const FileRecord& file : impl.data->files()) impl.files.push_back(file);
  impl.add_file(std::string(kCommon), formats::make_torch_file(common, storages));
  impl.add_file(std::string(kMetadataJson), kMetadataJsonText);
  const std::string train_state = make_train_state(state);
  impl.add_file(std::string(kTrainState), train_state);
  impl.add_file(std::string(kMetadata), formats::make_dcp_metadata(impl.metadata));
  for (const fs::path& folder : impl.folders)
    if (folder != impl.temporary) impl.ops.sync_dir(folder);
  write_file_synced(impl.ops, impl.temporary / kManifest,
                    make_manifest(impl.iteration, impl.facts, impl.files, impl.data->chunks()));
  impl.ops.sync_dir(impl.temporary);

  const bool replaces = fs::exists(impl.final_dir);
  if (replaces && !impl.replace)
    throw Error(ErrorKind::kConfig, impl.final_dir.string(), "a checkpoint of this iteration has appeared meanwhile");
  if (replaces)
    impl.ops.exchange(impl.temporary, impl.final_dir);
  else
    impl.ops.rename(impl.temporary, impl.final_dir);
  impl.committed = true;
  impl.ops.sync_dir(impl.root);
  write_file_atomically(impl.ops, impl.root / kTrackerState, train_state);
  write_file_atomically(impl.ops, impl.root / kTrackerText, std::to_string(impl.iteration));
  if (replaces) impl.ops.remove_all(impl.temporary);
}

}  // namespace rialto::store
