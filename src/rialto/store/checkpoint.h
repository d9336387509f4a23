// A native checkpoint directory: Megatron's torch_dist layout plus our manifest, written in commit order, read by key.
// What each file holds and why: docs/checkpoint.md. Layout sources are cited there.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"
#include "rialto/base/progress.h"
#include "rialto/formats/dcp_metadata.h"
#include "rialto/formats/pickle.h"
#include "rialto/spec/param.h"

namespace rialto::store {

using ByteSink = std::function<void(std::span<const std::byte>)>;

/// One chunk of a global tensor: what is stored under `key` (and `aliases`) at `offsets` of `shape`.
struct ChunkSpec {
  std::string key;
  std::vector<std::string> aliases;
  DType dtype = DType::kF32;
  Shape shape;  ///< global
  Shape offsets, sizes;
};

/// The chunk that holds `param` under its disk key with an optional prefix ("optimizer.state.exp_avg.").
ChunkSpec chunk_of(const spec::Param& param, DType dtype, const std::string& prefix = "");

/// Writes ROOT/.tmp.iter_N, then commits it as ROOT/iter_N. Destroyed without commit(): the temporary folder is
/// removed.
class CheckpointWriter {
 public:
  /// Throws kConfig when ROOT/iter_N exists already (unless `replace`: then it gives way when the new one is complete).
  CheckpointWriter(FileOps& ops, const fs::path& root, int64_t iteration, bool replace = false);
  ~CheckpointWriter();

  /// Appends a chunk; `fill` must push exactly its bytes into the sink, front to back. Chunks go to __0_0.distcp, and
  /// optimizer state ("optimizer.") to __0_1.distcp.
  void add_chunk(const ChunkSpec& chunk, const std::function<void(const ByteSink&)>& fill);
  /// Makes `key` (a chunk equal in place, shape and dtype) point at the bytes already stored for `chunk.key`.
  void add_alias(const ChunkSpec& chunk, const std::string& key);
  /// A pickled object (torch.save bytes) under `key`; equal bytes are stored once.
  void add_object(const std::string& key, const std::string& bytes);
  /// Every `_extra_state` object of the model, all pointing at one stored object.
  void add_extra_states(const spec::ModelSpec& model);
  /// A file inside iter_N: "run_config.yaml", "rialto_source/config.json".
  void add_file(const std::string& relative, std::string_view bytes);
  /// The same for a file that need not fit into memory: `fill` pushes it front to back.
  void add_file(const std::string& relative, const std::function<void(const ByteSink&)>& fill);
  void copy_file(const std::string& relative, const fs::path& from);
  /// Facts recorded in the manifest: "layout", "true_vocab", "notes".
  void set_fact(const std::string& key, const Json& value);

  /// The rest in the order of formats.md: common.pt (from `common`), metadata.json, train_state.pt, .metadata,
  /// manifest, rename, parent fsync, both trackers last.
  struct TrainState {
    int64_t step = 0, consumed_train_samples = 0, skipped_train_samples = 0, consumed_valid_samples = 0;
    double floating_point_operations_so_far = 0;
    bool do_train = false, do_valid = false, do_test = false;
  };
  /// `storages`: elements of the small tensors in `common` (key -> bytes), as formats::make_torch_file takes them.
  void commit(const formats::PickleValue& common, const TrainState& state,
              const std::vector<std::pair<std::string, std::string>>& storages = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// One tensor or object found in a checkpoint.
class CheckpointReader {
 public:
  enum class Verify { kSizes, kHashes };  ///< kSizes: manifest self-hash and file sizes; kHashes: every byte

  /// Opens ITER (a folder with .metadata). With a manifest its self-hash and file sizes are always checked.
  explicit CheckpointReader(const fs::path& iter_dir, Verify verify = Verify::kSizes, Progress* progress = nullptr);
  ~CheckpointReader();
  CheckpointReader(CheckpointReader&&) noexcept;

  const fs::path& path() const;
  const formats::DcpMetadata& metadata() const;
  bool has_manifest() const;
  const Json& manifest() const;       ///< null when foreign
  Json facts() const;                 ///< manifest "facts", {} when foreign
  formats::PicklePtr common() const;  ///< common.pt
  std::optional<CheckpointWriter::TrainState> train_state() const;
  int64_t iteration() const;

  bool has_tensor(const std::string& key) const;
  DType dtype(const std::string& key) const;
  Shape shape(const std::string& key) const;

  /// The box [offsets, offsets + sizes) of a global tensor, as stored, row-major into `out`, joined from whichever
  /// chunks hold it. With a manifest each chunk touched whole is hashed once and compared. Throws kInput naming key,
  /// file.
  void read(const std::string& key, const Shape& offsets, const Shape& sizes, std::span<std::byte> out) const;
  /// The key that holds `param`: its own, an alias, the local layer spec's spelling, stacked or per layer. Throws
  /// kInput when there is none, kShape when the tensor there has another shape. More rows of vocabulary than the model
  /// has are padding where the checkpoint says so or they hold zeros (then they are read); else kShape.
  std::string find_key(const spec::Param& param, const std::string& prefix = "") const;
  /// Logical bytes [begin, begin + out.size()) of a parameter's tensor (its axes applied), for streaming. Thread-safe.
  void read_param(const spec::Param& param, const std::string& prefix, uint64_t begin, std::span<std::byte> out) const;
  std::string read_object(const std::string& key) const;
  std::string read_file(const std::string& relative) const;
  bool has_file(const std::string& relative) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// What lies in a checkpoint root.
struct Found {
  fs::path iter_dir;
  int64_t iteration = 0;
  std::vector<std::string> notices;  ///< lines for the user: fell back, tracker obeyed, leftovers
};
/// The iteration to load: the trackers' if it is good; else the newest complete one, with a notice. `wanted` asks for
/// one iteration. A path that is itself an iter folder is taken as it is. nullopt: nothing there. Throws kInput when
/// something is there but nothing good.
/// `verify`: how deeply an iteration is checked before it counts as good.
std::optional<Found> find_checkpoint(const fs::path& root, std::optional<int64_t> wanted = {},
                                     CheckpointReader::Verify verify = CheckpointReader::Verify::kSizes);
bool is_native_checkpoint(const fs::path& path);
std::vector<int64_t> list_iterations(const fs::path& root);

}  // namespace rialto::store
