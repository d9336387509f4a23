// What generation remembers of the tokens so far, one alternative per kind of attention. Shape letters: B rows, S slots
// or queries, K keys, G key/value heads, D head size, C latent channels (the rotated key's included).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "rialto/kernels/attention.h"

namespace rialto::model {

/// Keys and values; capacity grows by doubling, or is a ring of `window` for windowed layers.
struct KeyValueCache {
  at::Tensor keys_BGSD, values_BGSD;
  at::Tensor positions_S;  ///< position of each held key
  int64_t length = 0;
};
/// Of latent attention only what all heads share: per token its latent and its rotated key, side by side.
struct LatentCache {
  at::Tensor rows_BSC;  ///< capacity grows by doubling
  int64_t length = 0;
};
using LayerCache = std::variant<std::monostate, KeyValueCache, LatentCache>;

struct Cache {
  std::vector<LayerCache> layers;
  int64_t next_position = 0;
  /// Length of the text as far as it is known: a rotation that depends on it takes it, so that a prompt in pieces is
  /// rotated as it would be in one.
  int64_t num_positions = 0;
  int64_t rotation_limit = INT64_MAX;  ///< a text longer than this is rotated in another way
};

/// Tells the cache how long the text is by now. False: what it held was rotated for a shorter text and is gone; the
/// text must be fed again from its first token.
bool extend_text(Cache& cache, int64_t num_positions);

/// The alternative that a layer keeps; empty at first. Throws kInternal when it holds another kind.
template <class Kind>
Kind& cache_of(LayerCache& cache);
extern template KeyValueCache& cache_of<KeyValueCache>(LayerCache& cache);
extern template LatentCache& cache_of<LatentCache>(LayerCache& cache);

/// Keys and values that the new queries look at, and which.
struct CachedKeys {
  at::Tensor k_BKGD, v_BKGD;
  kernels::KeyRange range;
};

/// Appends k, v [B,S,G,D] at positions first_position, ... and returns what their queries see. Without a window
/// capacity doubles; with one it ends as a ring of `window` keys, slot = position % window.
CachedKeys append(KeyValueCache& cache, const at::Tensor& k_BSGD, const at::Tensor& v_BSGD, int64_t first_position,
                  std::optional<int64_t> window);

/// Rows that the new queries look at, and which.
struct CachedLatents {
  at::Tensor rows_BKC;
  kernels::KeyRange range;
};
/// Appends rows [B,S,C] and returns what their queries see: all so far.
CachedLatents append(LatentCache& cache, const at::Tensor& rows_BSC);

}  // namespace rialto::model
