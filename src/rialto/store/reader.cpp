// Reading a checkpoint by key: chunks are located once, hashed once when a manifest knows them, and joined into boxes.
#include <algorithm>
#include <mutex>
#include <shared_mutex>

#include <fmt/format.h>

#include "rialto/base/blocks.h"
#include "rialto/base/error.h"
#include "rialto/formats/torch_zip.h"
#include "rialto/store/box_read.h"
#include "rialto/store/checkpoint.h"
#include "rialto/store/common_state.h"
#include "rialto/store/manifest.h"
#include "rialto/store/names.h"
#include "rialto/store/param_keys.h"
#include "rialto/store/train_state.h"
#include "rialto/store/vocabulary.h"

namespace rialto::store {
namespace {

/// A chunk that has been touched: where its elements lie, and whether they were found to be what was written.
struct OpenChunk {
  std::once_flag once;
  const ReadFile* file = nullptr;
  formats::StoredTensor place;
};

/// A parameter found in the checkpoint.
struct Located {
  std::string key;
  const formats::DcpTensor* tensor = nullptr;
  Shape at, sizes;                               ///< its box in the global tensor
  std::vector<const formats::DcpChunk*> chunks;  ///< those that meet the box
};

bool meets(const formats::DcpChunk& chunk, const Shape& at, const Shape& sizes) {
  for (size_t axis = 0; axis < at.size(); ++axis)
    if (chunk.offsets[axis] + chunk.sizes[axis] <= at[axis] || at[axis] + sizes[axis] <= chunk.offsets[axis])
      return false;
  return true;
}

}  // namespace

struct CheckpointReader::Impl {
  fs::path dir;
  formats::DcpMetadata metadata;
  Json manifest;
  std::map<std::pair<std::string, uint64_t>, ManifestChunk> recorded;
  mutable std::mutex open_mutex;
  mutable std::map<std::string, ReadFile> files;
  mutable std::map<std::pair<std::string, uint64_t>, OpenChunk> open_chunks;
  mutable std::shared_mutex located_mutex;
  mutable std::map<std::string, Located> located;

  const ReadFile& file(const std::string& name) const {
    const std::lock_guard lock(open_mutex);
    const auto found = files.find(name);
    if (found != files.end()) return found->second;
    if (!is_inside(name))
      throw Error(ErrorKind::kInput, (dir / kMetadata).string(), "names a file outside its folder", {.got = name});
    std::error_code error;
    if (!fs::is_regular_file(dir / name, error))
      throw Error(ErrorKind::kInput, (dir / name).string(), "data file is missing",
                  {.hint = "was the checkpoint copied completely?"});
    return files.emplace(name, ReadFile(dir / name)).first->second;
  }

  const formats::DcpTensor& tensor(const std::string& key) const {
    const auto found = metadata.tensors.find(key);
    if (found == metadata.tensors.end())
      throw Error(ErrorKind::kInput, dir.string(), fmt::format("no tensor '{}' in the checkpoint", key));
    return found->second;
  }

  /// Locates a chunk on first touch; with a manifest its elements are hashed then, naming tensor and file on damage.
  const OpenChunk& open(const std::string& key, const formats::DcpTensor& tensor,
                        const formats::DcpChunk& chunk) const {
    OpenChunk* state = nullptr;
    {
      const std::lock_guard lock(open_mutex);
      state = &open_chunks[{chunk.span.file, chunk.span.offset}];
    }
    std::call_once(state->once, [&] {
      const ReadFile& from = file(chunk.span.file);
      const auto damaged = [&](std::string_view what, const ErrorParts& parts = {}) {
        throw Error(ErrorKind::kInput, from.path().string(),
                    fmt::format("tensor '{}' at {} {}", key, to_text(chunk.offsets), what), parts);
      };
      if (chunk.span.offset > from.size() || chunk.span.length > from.size() - chunk.span.offset)
        damaged("ends behind the end of the file", {.got = fmt::format("{} bytes", from.size()),
                                                    .want = fmt::format("{}", chunk.span.offset + chunk.span.length)});
      try {
        state->place = formats::locate_tensor(from, chunk.span.offset, chunk.span.length);
      } catch (const Error& error) {
        damaged(fmt::format("is damaged: {}", error.what()));
      }
      if (state->place.dtype != tensor.dtype || state->place.shape != chunk.sizes)
        damaged("is not what .metadata says",
                {.got = fmt::format("{} {}", torch_name(state->place.dtype), to_text(state->place.shape)),
                 .want = fmt::format("{} {}", torch_name(tensor.dtype), to_text(chunk.sizes))});
      if (!manifest.is_null()) {
        const auto known = recorded.find({chunk.span.file, state->place.offset});
        if (known == recorded.end() || known->second.length != state->place.size)
          damaged("is not where the manifest says");
        if (hash_range(from, state->place.offset, state->place.size) != known->second.hash)
          damaged("is damaged: its hash differs from the manifest");
      }
      state->file = &from;
    });
    return *state;
  }

  void read_box(const Located& box, uint64_t begin, std::span<std::byte> out) const {
    const size_t item = size_of(box.tensor->dtype);
    for (const formats::DcpChunk* chunk : box.chunks) {
      const ChunkRuns runs(chunk->offsets, chunk->sizes, box.at, box.sizes);
      if (runs.count() == 0) continue;
      if (runs.place(0).box >= begin + out.size() / item) continue;
      const uint64_t last = runs.place(runs.count() - 1).box + runs.run_elements();
      if (last <= begin) continue;
      const OpenChunk& state = open(box.key, *box.tensor, *chunk);
      read_runs(runs, item, begin, out, [&](uint64_t offset, std::span<std::byte> part) {
        state.file->read_at(state.place.offset + offset, part);
      });
    }
  }

  Located locate_box(const std::string& key, Shape at, Shape sizes) const {
    const formats::DcpTensor& found = tensor(key);
    const auto refuse = [&] {
      throw Error(ErrorKind::kShape, dir.string(), fmt::format("'{}' has no such box", key),
                  {.got = fmt::format("{} at {}", to_text(sizes), to_text(at)),
                   .want = fmt::format("inside {}", to_text(found.shape))});
    };
    if (at.size() != found.shape.size() || sizes.size() != found.shape.size()) refuse();
    for (size_t axis = 0; axis < at.size(); ++axis)
      if (at[axis] < 0 || sizes[axis] < 0 || at[axis] > found.shape[axis] || sizes[axis] > found.shape[axis] - at[axis])
        refuse();
    Located box{.key = key, .tensor = &found, .at = std::move(at), .sizes = std::move(sizes), .chunks = {}};
    for (const formats::DcpChunk& chunk : found.chunks)
      if (meets(chunk, box.at, box.sizes)) box.chunks.push_back(&chunk);
    return box;
  }

  const Located& locate(const spec::Param& param, const std::string& prefix) const {
    const std::string name = prefix + param.name;
    {
      const std::shared_lock lock(located_mutex);
      const auto found = located.find(name);
      if (found != located.end()) return found->second;
    }
    Located box = find_param(param, prefix);
    const std::unique_lock lock(located_mutex);
    return located.emplace(name, std::move(box)).first->second;
  }

  /// Rows from `tokens` on may be cut: the checkpoint says that they are padding, or they hold zeros. Training moves
  /// the padded rows of a head, so numbers alone decide nothing.
  void require_padding(const std::string& key, const formats::DcpTensor& tensor, int64_t tokens) const {
    const int64_t rows = tensor.shape.front();
    const auto refuse = [&](std::string_view what, std::string want, std::string hint) {
      throw Error(
          ErrorKind::kShape, dir.string(), fmt::format("'{}' {}", key, what),
          {.got = fmt::format("{} of {} rows", tokens, rows), .want = std::move(want), .hint = std::move(hint)});
    };
    if (const auto stated = stated_vocabulary(dir, manifest)) {
      if (stated->rows != tokens)
        refuse("has another vocabulary than the model", fmt::format("{} rows ({})", stated->rows, stated->said_by),
               fmt::format("tokens added later? The model's config.json needs vocab_size {}", stated->rows));
      return;
    }
    if (!key.starts_with("optimizer.") && !holds_zeros(key, tensor, tokens))
      refuse("has rows beyond the model's vocabulary that hold numbers", "a file that says how many rows are tokens",
             fmt::format("with vocab_size {} in the --like folder's config.json every row is kept", rows));
  }

  /// Whether every element of the rows from `first` on is zero.
  bool holds_zeros(const std::string& key, const formats::DcpTensor& tensor, int64_t first) const {
    const Located box = locate_box(key, {first, 0}, {tensor.shape[0] - first, tensor.shape[1]});
    const size_t item = size_of(tensor.dtype);
    bool zeros = true;
    for_each_block(
        static_cast<uint64_t>(num_elements(box.sizes)) * item,
        [&](uint64_t at, std::span<std::byte> out) { read_box(box, at / item, out); },
        [&](std::span<const std::byte> bytes) {
          zeros = zeros && std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
        });
    return zeros;
  }

  Located find_param(const spec::Param& param, const std::string& prefix) const {
    for (const KeyCandidate& candidate : key_candidates(param, prefix)) {
      const auto found = metadata.tensors.find(candidate.key);
      if (found == metadata.tensors.end()) continue;
      const Shape& have = found->second.shape;
      Shape at, sizes, want;
      for (const spec::DiskAxis& axis : candidate.axes) {
        const int64_t size = axis.size >= 0 ? axis.size : at.size() < have.size() ? have[at.size()] : 0;
        if (axis.index >= size)
          throw Error(ErrorKind::kShape, dir.string(), fmt::format("'{}' has no index {}", candidate.key, axis.index),
                      {.got = to_text(have)});
        want.push_back(size);
        at.push_back(axis.index);
        sizes.push_back(1);
      }
      const bool vocabulary =
          param.shape.size() == 2 && (param.stack == spec::Stack::kEmbedding || param.stack == spec::Stack::kHead);
      const size_t rows = want.size();
      for (const int64_t size : param.shape) {
        want.push_back(size);
        at.push_back(0);
        sizes.push_back(size);
      }
      if (vocabulary && have.size() == want.size() && have[rows] > want[rows]) {
        require_padding(candidate.key, found->second, want[rows]);
        want[rows] = have[rows];
      }
      if (have != want)
        throw Error(ErrorKind::kShape, dir.string(),
                    fmt::format("'{}' has another shape than the model", candidate.key),
                    {.got = to_text(have), .want = to_text(want)});
      return locate_box(candidate.key, std::move(at), std::move(sizes));
    }
    throw Error(ErrorKind::kInput, dir.string(),
                fmt::format("no tensor '{}{}' in the checkpoint", prefix, param.disk.key));
  }
};

CheckpointReader::CheckpointReader(const fs::path& iter_dir, Verify verify, Progress* progress)
    : impl_(std::make_unique<Impl>()) {
  impl_->dir = iter_dir;
  const fs::path metadata = iter_dir / kMetadata;
  if (!fs::is_regular_file(metadata))
    throw Error(ErrorKind::kInput, iter_dir.string(), "not a torch_dist checkpoint: it has no .metadata",
                {.hint = "an interrupted save or copy?"});
  if (fs::exists(iter_dir / kManifest)) {
    const fs::path path = iter_dir / kManifest;
    impl_->manifest = parse_manifest(read_text_file(path, 1u << 30), path.string());
    impl_->recorded = manifest_chunks(impl_->manifest, path.string());
    check_manifest_files(impl_->manifest, iter_dir);
    if (verify == Verify::kHashes) check_manifest_hashes(impl_->manifest, iter_dir, progress ? *progress : silent());
  }
  const std::string bytes = read_text_file(metadata, 1u << 30);
  impl_->metadata = formats::parse_dcp_metadata(std::as_bytes(std::span(bytes)), metadata.string());
}

CheckpointReader::~CheckpointReader() = default;
CheckpointReader::CheckpointReader(CheckpointReader&&) noexcept = default;

const fs::path& CheckpointReader::path() const { return impl_->dir; }
const formats::DcpMetadata& CheckpointReader::metadata() const { return impl_->metadata; }
bool CheckpointReader::has_manifest() const { return !impl_->manifest.is_null(); }
const Json& CheckpointReader::manifest() const { return impl_->manifest; }

Json CheckpointReader::facts() const {
  return has_manifest() && impl_->manifest.contains("facts") ? impl_->manifest.at("facts") : Json::object();
}

formats::PicklePtr CheckpointReader::common() const {
  const ReadFile file(impl_->dir / kCommon);
  return formats::read_torch_file(file, 0, file.size(), common_globals()).value;
}

std::optional<CheckpointWriter::TrainState> CheckpointReader::train_state() const {
  if (!has_file(std::string(kTrainState))) return {};
  return read_train_state(impl_->dir / kTrainState);
}

int64_t CheckpointReader::iteration() const {
  if (const auto number = parse_iter_name(impl_->dir.filename().string())) return *number;
  if (const auto state = train_state()) return state->step;
  if (has_file(std::string(kCommon)))
    if (const formats::PickleValue* value = common()->get("iteration");
        value && value->kind == formats::PickleValue::Kind::kInt)
      return value->integer;
  return 0;
}

bool CheckpointReader::has_tensor(const std::string& key) const { return impl_->metadata.tensors.contains(key); }
DType CheckpointReader::dtype(const std::string& key) const { return impl_->tensor(key).dtype; }
Shape CheckpointReader::shape(const std::string& key) const { return impl_->tensor(key).shape; }

void CheckpointReader::read(const std::string& key, const Shape& offsets, const Shape& sizes,
                            std::span<std::byte> out) const {
  const Located box = impl_->locate_box(key, offsets, sizes);
  const uint64_t want = static_cast<uint64_t>(num_elements(sizes)) * size_of(box.tensor->dtype);
  if (out.size() != want)
    throw Error(ErrorKind::kInternal, key, "read into a buffer of another size",
                {.got = std::to_string(out.size()), .want = std::to_string(want)});
  impl_->read_box(box, 0, out);
}

std::string CheckpointReader::find_key(const spec::Param& param, const std::string& prefix) const {
  return impl_->locate(param, prefix).key;
}

void CheckpointReader::read_param(const spec::Param& param, const std::string& prefix, uint64_t begin,
                                  std::span<std::byte> out) const {
  const Located& box = impl_->locate(param, prefix);
  const size_t item = size_of(box.tensor->dtype);
  const uint64_t bytes = static_cast<uint64_t>(num_elements(box.sizes)) * item;
  if (begin % item != 0 || out.size() % item != 0 || begin > bytes || out.size() > bytes - begin)
    throw Error(ErrorKind::kInternal, box.key,
                fmt::format("read of bytes {} to {} of {}", begin, begin + out.size(), bytes));
  impl_->read_box(box, begin / item, out);
}

std::string CheckpointReader::read_object(const std::string& key) const {
  const auto found = impl_->metadata.objects.find(key);
  if (found == impl_->metadata.objects.end())
    throw Error(ErrorKind::kInput, impl_->dir.string(), fmt::format("no object '{}' in the checkpoint", key));
  const formats::FileSpan& span = found->second;
  const ReadFile& file = impl_->file(span.file);
  if (span.offset > file.size() || span.length > file.size() - span.offset)
    throw Error(ErrorKind::kInput, file.path().string(),
                fmt::format("object '{}' ends behind the end of the file", key));
  std::string bytes(span.length, '\0');
  file.read_at(span.offset, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

std::string CheckpointReader::read_file(const std::string& relative) const {
  return read_text_file(impl_->dir / relative, 1u << 30);
}

bool CheckpointReader::has_file(const std::string& relative) const {
  std::error_code error;
  return fs::is_regular_file(impl_->dir / relative, error);
}

}  // namespace rialto::store
