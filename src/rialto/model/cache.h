// Growing and reading one layer's key/value cache.
#pragma once

#include <optional>

#include "rialto/kernels/attention.h"
#include "rialto/model/model.h"

namespace rialto::model {

/// Keys and values that the new queries look at, and which.
struct CachedKeys {
  at::Tensor k_BKGD, v_BKGD;
  kernels::KeyRange range;
};

/// Appends k, v [B,S,G,D] at positions first_position, ... and returns what their queries see. Without a window
/// capacity doubles; with one it ends as a ring of `window` keys, slot = position % window.
CachedKeys append(LayerCache& cache, const at::Tensor& k_BSGD, const at::Tensor& v_BSGD, int64_t first_position,
                  std::optional<int64_t> window);

}  // namespace rialto::model
