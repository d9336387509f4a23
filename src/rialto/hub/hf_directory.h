// A Hugging Face model directory on disk: config.json, weights by name across shards, the files beside them. Weights
// are safetensors files; where there are none, state dicts that torch.save wrote.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"
#include "rialto/formats/safetensors.h"

namespace rialto::hub {

struct HfTensor {
  formats::SafetensorsEntry entry;
  size_t shard = 0;  ///< index into shards()
};

/// How the weights of a folder are stored.
struct WeightFormat {
  const char* single_file;
  const char* index_file;
  const char* extension;
};
inline constexpr WeightFormat kSafetensorsFormat{"model.safetensors", "model.safetensors.index.json", ".safetensors"};
inline constexpr WeightFormat kPickleFormat{"pytorch_model.bin", "pytorch_model.bin.index.json", ".bin"};

/// What becomes of shards that the index names and the folder lacks.
enum class Absent : uint8_t {
  kRefused,
  kNamesOnly,  ///< their tensors are known by name: unseen()
};

class HfDirectory {
 public:
  /// Reads config.json, the index (or the single file) and every shard's header. Throws kInput naming what is missing:
  /// config.json, a shard the index names, a tensor the index names, a tensor no index names. Pickles are read by an
  /// allow-list; a tensor that shares its elements with another is one of its own.
  explicit HfDirectory(const fs::path& path, Absent absent = Absent::kRefused);
  ~HfDirectory();
  HfDirectory(HfDirectory&&) noexcept;

  const fs::path& path() const;
  const Json& config() const;
  std::string architecture() const;                ///< architectures[0]; kInput when absent
  const std::vector<std::string>& shards() const;  ///< names of the files that are there, in order
  const std::map<std::string, HfTensor>& tensors() const;
  const std::vector<std::string>& unseen() const;                         ///< tensors whose shard is absent, sorted
  std::map<std::string, std::string> shard_metadata(size_t shard) const;  ///< "__metadata__"
  bool has_index() const;
  const WeightFormat& format() const;  ///< kSafetensorsFormat or kPickleFormat

  /// Bytes [begin, begin + out.size()) of a tensor. Thread-safe.
  void read(const HfTensor& tensor, uint64_t begin, std::span<std::byte> out) const;

  /// Files worth carrying along: generation_config.json, tokenizer*, special_tokens_map.json, vocab/merges, templates.
  std::vector<std::string> companion_files() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// True for the name of such a file (those in additional_chat_templates/ apart).
bool is_companion_file(const std::string& name);
/// The same for a folder that need not hold weights.
std::vector<std::string> companion_files_of(const fs::path& path);

/// True when the folder looks like a HF model (has config.json).
bool is_hf_directory(const fs::path& path);

/// Stop tokens and sampling defaults of generation_config.json (falling back to config.json). Throws kInput.
struct GenerationConfig {
  std::vector<int64_t> eos_token_ids;
  std::optional<int64_t> bos_token_id, pad_token_id;
  bool do_sample = false;
  double temperature = 1.0, top_p = 1.0;
  int64_t top_k = 50;  ///< transformers' default; used when do_sample
  std::optional<int64_t> max_new_tokens;
  double repetition_penalty = 1.0;
};
GenerationConfig read_generation_config(const fs::path& hf_dir);

}  // namespace rialto::hub
