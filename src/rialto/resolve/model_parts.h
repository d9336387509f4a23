// The parts of a ModelSpec that config files speak of: the first layer of each kind, and lists over the layers.
#pragma once

#include <optional>
#include <vector>

#include "rialto/families/family.h"
#include "rialto/spec/model_spec.h"

namespace rialto::resolve {

/// Pointers into the model; null: it has no such part. What they leave out shows when the written file is read again.
struct ModelParts {
  explicit ModelParts(const spec::ModelSpec& model);

  const spec::ModelSpec& model;
  const spec::Attention* attention = nullptr;
  const spec::LatentAttention* latent = nullptr;
  const spec::DenseFfn* dense = nullptr;
  const spec::MoeFfn* moe = nullptr;
  const spec::Rope* rope = nullptr;        ///< of a layer without a window, else of any
  const spec::Rope* local_rope = nullptr;  ///< of a layer with one
  std::vector<std::optional<int64_t>> windows = {};
  std::vector<bool> is_moe = {};

  int64_t num_layers() const { return static_cast<int64_t>(windows.size()); }
  int64_t num_heads() const;
  std::optional<int64_t> window() const;  ///< the first one
  spec::Activation activation() const;
};

/// Whether a list over the layers has this value somewhere.
bool holds(const std::vector<bool>& flags, bool value);

/// The registered family. Throws kConfig naming the known ones.
const families::Family& family_named(const std::string& name);

}  // namespace rialto::resolve
