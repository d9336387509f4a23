// A native checkpoint as a source: its HF side comes from rialto_source/, from --like, or is derived.
#include <set>
#include <unordered_map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/base/error.h"
#include "rialto/convert/dtypes.h"
#include "rialto/convert/opened.h"
#include "rialto/formats/safetensors.h"
#include "rialto/source/hf_weights.h"

namespace rialto::convert {
namespace {

constexpr size_t kMaxListed = 10;

HfSide hf_side_of(const std::shared_ptr<hub::HfDirectory>& like) {
  HfSide side;
  side.config = like->config();
  side.config_path = (like->path() / "config.json").string();
  side.config_bytes = read_text_file(like->path() / "config.json");
  side.layout = hub::layout_of(*like);
  side.pass_through = side.scales = [like](const std::string& name, uint64_t begin, std::span<std::byte> out) {
    like->read(like->tensors().at(name), begin, out);
  };
  return side;
}

/// A folder given by --like may hold weights (then their layout counts) or only config and tokenizer.
HfSide hf_side_like(const fs::path& path) {
  HfSide side;
  if (fs::exists(path / "model.safetensors") || fs::exists(path / "model.safetensors.index.json")) {
    side = hf_side_of(std::make_shared<hub::HfDirectory>(path));
  } else {
    side.config_path = (path / "config.json").string();
    side.config = read_json_file(path / "config.json", 16u << 20);
    side.config_bytes = read_text_file(path / "config.json", 16u << 20);
  }
  side.companions = path;
  return side;
}

/// The tensors of one safetensors file, whose header is read once; none where there is no file.
KeptReader read_kept(const fs::path& path) {
  if (!fs::exists(path)) return {};
  struct Kept {
    ReadFile file;
    uint64_t data_start = 0;
    std::unordered_map<std::string, formats::SafetensorsEntry> entries;
  };
  const auto kept = std::make_shared<Kept>(Kept{ReadFile(path), 0, {}});
  const formats::SafetensorsHeader header = formats::read_safetensors_header(kept->file);
  kept->data_start = header.data_start;
  for (const formats::SafetensorsEntry& entry : header.entries) kept->entries.emplace(entry.name, entry);
  return [kept](const std::string& name, uint64_t begin, std::span<std::byte> out) {
    const auto found = kept->entries.find(name);
    if (found == kept->entries.end() || begin + out.size() > found->second.size())
      throw Error(ErrorKind::kInput, kept->file.path().string(), fmt::format("holds no whole '{}'", name));
    kept->file.read_at(kept->data_start + found->second.begin + begin, out);
  };
}

HfSide hf_side_recorded(const store::CheckpointReader& checkpoint) {
  HfSide side;
  const fs::path folder = checkpoint.path() / hub::kSourceFolder;
  side.config_path = (folder / "config.json").string();
  side.config_bytes = read_text_file(folder / "config.json", 16u << 20);
  side.config = parse_json(*side.config_bytes, side.config_path);
  side.companions = folder;
  const fs::path layout = checkpoint.path() / hub::kLayoutFile;
  if (fs::exists(layout)) side.layout = hub::parse_layout(read_json_file(layout), layout.string());
  side.pass_through = read_kept(checkpoint.path() / hub::kPassThroughFile);
  side.scales = read_kept(checkpoint.path() / hub::kScalesFile);
  return side;
}

HfSide hf_side_derived(const store::CheckpointReader& checkpoint) {
  const fs::path path = checkpoint.path() / "run_config.yaml";
  if (!fs::exists(path))
    throw Error(ErrorKind::kInput, checkpoint.path().string(),
                "nothing here says what model this is: neither rialto_source/config.json nor run_config.yaml",
                {.hint = "give a Hugging Face folder of the same architecture with --like"});
  HfSide side;
  side.config = resolve::hf_from_model(resolve::model_from_run_config(read_yaml_file(path.string())));
  side.config_path = path.string();
  if (fs::is_directory(checkpoint.path() / "tokenizer")) side.companions = checkpoint.path() / "tokenizer";
  return side;
}

/// What the source's files held, and what of it was codes.
void take_recorded(OpenedNative& opened) {
  for (const hub::LayoutShard& shard : opened.hf.layout->shards)
    for (const hub::LayoutTensor& tensor : shard.tensors)
      opened.recorded.push_back({tensor.name, tensor.shape, tensor.dtype});
  opened.decoded = bridge::find_coded(opened.recorded, source::decoded_type(opened.resolved.model));
  bridge::drop_absent_mtp(opened.resolved.model, opened.resolved.family->params, opened.decoded.tensors);
}

/// Dtypes as stored; everything missing is said at once.
void take_stored_dtypes(OpenedNative& opened) {
  std::vector<std::string> missing;
  for (size_t i = 0; i < opened.params.size(); ++i) {
    try {
      opened.map.native[i].dtype = opened.checkpoint->dtype(opened.checkpoint->find_key(opened.params[i]));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) throw;
      if (missing.size() <= kMaxListed) missing.push_back(opened.params[i].name);
    }
  }
  if (missing.empty()) return;
  const bool more = missing.size() > kMaxListed;
  if (more) missing.pop_back();
  throw Error(ErrorKind::kInput, opened.checkpoint->path().string(),
              fmt::format("tensors of the model are missing: {}{}", fmt::join(missing, ", "), more ? ", ..." : ""));
}

/// Padding is no part of the model, but whoever reads the report should know of it.
void say_padding(OpenedNative& opened) {
  const int64_t tokens = opened.resolved.model.vocab;
  for (const spec::Param& param : opened.params) {
    if (param.shape.empty() || param.shape[0] != tokens) continue;
    const std::string key = opened.checkpoint->find_key(param);
    const Shape stored = opened.checkpoint->shape(key);
    if (stored.size() == param.shape.size() && stored[0] > tokens)
      opened.notices.push_back(fmt::format("rows {} to {} of '{}' are padding: left out", tokens, stored[0] - 1, key));
  }
}

/// A tensor of the model part that no parameter uses would be lost silently: it is refused.
void refuse_unused(const OpenedNative& opened) {
  std::set<std::pair<std::string, uint64_t>> used;
  std::set<std::string> used_keys;
  const auto& tensors = opened.checkpoint->metadata().tensors;
  for (const spec::Param& param : opened.params)
    if (used_keys.insert(opened.checkpoint->find_key(param)).second)
      for (const formats::DcpChunk& chunk : tensors.at(opened.checkpoint->find_key(param)).chunks)
        used.insert({chunk.span.file, chunk.span.offset});
  std::vector<std::string> unused;
  for (const auto& [key, tensor] : tensors) {
    if (used_keys.contains(key) || key.starts_with("optimizer.") || key.starts_with("rng_state") ||
        key.starts_with("rerun_state"))
      continue;
    for (const formats::DcpChunk& chunk : tensor.chunks)
      if (!used.contains({chunk.span.file, chunk.span.offset})) {
        unused.push_back(key);
        break;
      }
    if (unused.size() == kMaxListed) break;
  }
  if (!unused.empty())
    throw Error(ErrorKind::kInput, opened.checkpoint->path().string(),
                fmt::format("tensors that the model does not have: {}", fmt::join(unused, ", ")),
                {.hint = "is the configuration the one that these weights were saved with?"});
}

}  // namespace

OpenedNative open_native(const fs::path& path, std::optional<int64_t> iteration, const std::optional<fs::path>& like,
                         Follow follow) {
  OpenedNative opened;
  std::optional<store::Found> found = store::find_checkpoint(path, iteration);
  if (!found) throw Error(ErrorKind::kInput, path.string(), "no checkpoint here");
  opened.found = std::move(*found);
  opened.notices = opened.found.notices;
  opened.checkpoint = std::make_unique<store::CheckpointReader>(opened.found.iter_dir);
  if (!opened.checkpoint->has_manifest())
    opened.notices.emplace_back("no manifest (written by another program): bytes are read without a check");
  if (like)
    opened.hf = hf_side_like(*like);
  else if (fs::exists(opened.checkpoint->path() / hub::kSourceFolder / "config.json"))
    opened.hf = hf_side_recorded(*opened.checkpoint);
  else
    opened.hf = hf_side_derived(*opened.checkpoint);
  opened.resolved = resolve::model_from_hf(opened.hf.config, opened.hf.config_path);
  const families::Family& family = *opened.resolved.family;
  if (opened.hf.layout) take_recorded(opened);
  if (follow == Follow::kNothing || (follow == Follow::kNumbers && !opened.decoded.coded.empty())) {
    opened.hf.layout.reset();
    opened.recorded.clear();
    opened.decoded = {};
  }
  opened.params = spec::param_table(opened.resolved.model);
  opened.map = bridge::make_map(opened.resolved.model, family.params, opened.decoded.tensors);
  opened.tied = opened.map.optional;
  if (opened.hf.layout) {
    bridge::match_source(opened.map, opened.decoded.tensors, family.ignored);
    join_stacks(opened.map, opened.params);
  } else {
    bridge::add_written_copies(opened.map);
  }
  std::vector<DType> expected;
  for (const bridge::TensorInfo& tensor : opened.map.native) expected.push_back(tensor.dtype);
  take_stored_dtypes(opened);
  say_padding(opened);
  // Where the weights still have the dtype that an import gives them, the recorded dtypes are exact; otherwise what is
  // stored now counts (weights that were cast, or trained in another precision).
  std::set<uint32_t> changed;
  for (uint32_t i = 0; i < expected.size(); ++i)
    if (!opened.hf.layout || opened.map.native[i].dtype != expected[i]) changed.insert(i);
  for (const bridge::Piece& piece : opened.map.pieces) {
    if (piece.relation == bridge::Relation::kFill || !changed.contains(piece.native.tensor)) continue;
    opened.map.hf[piece.hf.tensor].dtype = opened.map.native[piece.native.tensor].dtype;
    opened.dtypes_as_recorded = false;
  }
  refuse_unused(opened);
  bridge::prove_complete(opened.map);
  opened.resolved.model.dtype = main_dtype(opened.map);
  return opened;
}

bridge::ByteReader OpenedNative::reader() const {
  return [this](uint32_t index, uint64_t begin, std::span<std::byte> out) {
    checkpoint->read_param(params[index], "", begin, out);
  };
}

}  // namespace rialto::convert
