// What the forward and backward attention bodies on the CPU share: blocks of 48 positions, and packing heads into fp32.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "rialto/kernels/attention.h"
#include "rialto/kernels/gemm_tile.h"

namespace rialto::kernels::attention_blocks {

using namespace simd;

constexpr int64_t kBlock = 48;  // a multiple of the tile's rows and of its columns

/// A [B,S,heads,D] tensor seen by its strides; the last dim is contiguous.
template <class T>
struct View {
  T* data = nullptr;
  int64_t row = 0, position = 0, head = 0;
  T* at(int64_t b, int64_t s, int64_t h) const { return data + b * row + s * position + h * head; }
};
template <class T>
View<const T> reading(const at::Tensor& x) {
  return {x.const_data_ptr<T>(), x.stride(0), x.stride(1), x.stride(2)};
}
template <class T>
View<T> writing(const at::Tensor& x) {
  return {x.data_ptr<T>(), x.stride(0), x.stride(1), x.stride(2)};
}

struct Sizes {
  int64_t rows = 0, queries = 0, keys = 0, groups = 0, per_group = 0, head_dim = 0;
  int64_t padded_dim = 0;  ///< head_dim up to a multiple of 16; the padding is zero
  int64_t key_blocks = 0, query_blocks = 0;
  Sizes(const at::Tensor& q, const at::Tensor& k)
      : rows(q.size(0)),
        queries(q.size(1)),
        keys(k.size(1)),
        groups(k.size(2)),
        per_group(q.size(2) / k.size(2)),
        head_dim(q.size(3)),
        padded_dim((q.size(3) + kTileCols - 1) / kTileCols * kTileCols),
        key_blocks((k.size(1) + kBlock - 1) / kBlock),
        query_blocks((q.size(1) + kBlock - 1) / kBlock) {}
  int64_t block_rows() const { return per_group * kBlock; }  ///< the heads of a group share its keys: one product
};

inline std::unique_ptr<float[]> scratch(int64_t count) { return std::make_unique<float[]>(static_cast<size_t>(count)); }

/// out [padded,padded_dim] <- x * factor; rows from `count` on are zero.
template <class T>
RIALTO_INLINE void pack_rows(const T* x, int64_t step, int64_t count, int64_t padded, const Sizes& n, float factor,
                             float* out) {
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t d = 0; d < n.head_dim; d += kLanes) store(out + i * n.padded_dim + d, load(x + i * step + d) * factor);
    for (int64_t d = n.head_dim; d < n.padded_dim; ++d) out[i * n.padded_dim + d] = 0;
  }
  std::memset(out + count * n.padded_dim, 0, static_cast<size_t>((padded - count) * n.padded_dim) * sizeof(float));
}

/// Blocks [block][padded_dim][48] of the transpose of `packed` [key_blocks * 48, padded_dim].
RIALTO_INLINE void transpose_blocks(const float* packed, const Sizes& n, float* out) {
  for (int64_t block = 0; block < n.key_blocks; ++block) {
    const float* from = packed + block * kBlock * n.padded_dim;
    float* to = out + block * kBlock * n.padded_dim;
    for (int64_t d = 0; d < n.padded_dim; ++d) {
      for (int64_t i = 0; i < kBlock; ++i) to[d * kBlock + i] = from[i * n.padded_dim + d];
    }
  }
}

/// A query's keys inside one block: [from, to), empty when from >= to.
struct Visible {
  int64_t from, to;
};
RIALTO_INLINE Visible visible(const int32_t* first, const int32_t* last, int64_t i, int64_t block) {
  const int64_t from = first[i] - block * kBlock, to = last[i] - block * kBlock;
  return {from > 0 ? from : 0, to < kBlock ? to : kBlock};
}

/// Blocks that any query of [begin, end) sees: [from, to).
struct BlockRange {
  int64_t from, to;
};
inline BlockRange blocks_seen(const int32_t* first, const int32_t* last, int64_t begin, int64_t end) {
  int64_t from = first[begin], to = last[begin];
  for (int64_t i = begin + 1; i < end; ++i) {
    from = std::min<int64_t>(from, first[i]);
    to = std::max<int64_t>(to, last[i]);
  }
  return {from / kBlock, (to + kBlock - 1) / kBlock};
}

}  // namespace rialto::kernels::attention_blocks
