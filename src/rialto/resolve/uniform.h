// Models whose layers differ in nothing but their window: what config files can say. Expanded to per-layer values and
// back.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rialto/base/error.h"
#include "rialto/families/family.h"
#include "rialto/spec/model_spec.h"

namespace rialto::resolve {

struct Uniform {
  std::string family = {};
  int64_t hidden = 0, vocab = 0, max_positions = 0, num_layers = 0;
  int64_t num_heads = 0, num_groups = 0, head_dim = 0, ffn_hidden = 0;
  double eps = 0, init_std = 0;
  bool tied = false, qkv_bias = false, qk_norm = false;
  spec::Rope rope = {};                              ///< dim is filled in from head_dim
  std::vector<std::optional<int64_t>> windows = {};  ///< one per layer
  DType dtype = DType::kF32;
  std::vector<int64_t> eos = {};
  std::optional<int64_t> bos = {};
};

/// Spells out every layer. Throws `kind` at `where` when sizes do not fit each other (groups and heads, odd head size).
spec::ModelSpec expand(const Uniform& uniform, ErrorKind kind, const std::string& where);

/// The values of the first layer, and every layer's window. What that leaves out shows when the result is expanded
/// again: callers compare. Throws kConfig for a mixer or ffn that no family here has.
Uniform uniform_of(const spec::ModelSpec& model);

/// True when the family's tensor rows name this part of a layer ("linear_qkv.bias", "q_layernorm.weight").
bool family_has(const families::Family& family, std::string_view native_suffix);

/// The registered family. Throws kConfig naming the known ones.
const families::Family& family_named(const std::string& name);

}  // namespace rialto::resolve
