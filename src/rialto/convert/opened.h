// Either kind of source, resolved to a model and a proven map between HF names and native parameters.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rialto/bridge/codecs/codec.h"
#include "rialto/bridge/plan.h"
#include "rialto/hub/hf_directory.h"
#include "rialto/hub/source_layout.h"
#include "rialto/resolve/resolve.h"
#include "rialto/spec/param.h"
#include "rialto/store/checkpoint.h"

namespace rialto::convert {

using ByteSink = std::function<void(std::span<const std::byte>)>;

/// Stored bytes of a named tensor from `begin` on. Throws kInput when there are none.
using KeptReader = std::function<void(const std::string& name, uint64_t begin, std::span<std::byte> out)>;

/// Where the HF side of a native checkpoint comes from.
struct HfSide {
  Json config;
  std::string config_path;                  ///< for messages
  std::optional<std::string> config_bytes;  ///< config.json as it was; none when derived
  std::optional<fs::path> companions;       ///< folder with tokenizer and template files
  std::optional<hub::SourceLayout> layout;  ///< none: ours to choose
  KeptReader pass_through;  ///< tensors that are in the layout but not in the model; none: they were not kept
  KeptReader scales;        ///< of coded tensors, as the source had them; none: not known
};

/// A native checkpoint. `map.native` has the dtypes that are stored, `map.hf` those that an exact write-back has.
struct OpenedNative {
  store::Found found;
  std::unique_ptr<store::CheckpointReader> checkpoint;
  HfSide hf;
  resolve::Resolved resolved;
  std::vector<spec::Param> params;
  bridge::Map map;
  std::vector<bridge::SourceTensor> recorded;  ///< what the source's files held, in the layout's order
  bridge::DecodedSource decoded;               ///< the same as the bridge sees it
  bool dtypes_as_recorded = true;              ///< every HF dtype is the recorded one
  std::vector<bridge::OptionalCopy> tied;      ///< what HF files may repeat of the model, whether these do or not
  std::vector<std::string> notices;

  bridge::ByteReader reader() const;
};
/// What the recorded layout (files, order, codes) is good for.
enum class Follow : uint8_t {
  kRecorded,  ///< all of it
  kNumbers,   ///< nothing where it held codes
  kNothing,   ///< nothing: one tensor for each of the family's first rows
};

/// `like`: take config, tokenizer and layout from this HF folder. Throws kInput, kShape.
OpenedNative open_native(const fs::path& path, std::optional<int64_t> iteration, const std::optional<fs::path>& like,
                         Follow follow = Follow::kRecorded);

/// Companion files of the HF side: name and path.
std::vector<std::pair<std::string, fs::path>> companion_files(const fs::path& folder);

}  // namespace rialto::convert
