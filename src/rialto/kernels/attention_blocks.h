// What the forward and backward attention bodies on the CPU share: blocks of 48 positions, and packing heads into fp32.
#pragma once

#include <ATen/core/Tensor.h>

#include <limits>
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

/// Channels up to a multiple of 16; the padding is zero.
inline int64_t padded(int64_t dim) { return (dim + kTileCols - 1) / kTileCols * kTileCols; }

struct Sizes {
  int64_t rows = 0, queries = 0, keys = 0, groups = 0, per_group = 0;
  int64_t head_dim = 0, padded_dim = 0;     ///< of queries and keys
  int64_t value_dim = 0, padded_value = 0;  ///< of values and outputs
  int64_t key_blocks = 0, query_blocks = 0;
  Sizes(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v)
      : rows(q.size(0)),
        queries(q.size(1)),
        keys(k.size(1)),
        groups(k.size(2)),
        per_group(q.size(2) / k.size(2)),
        head_dim(q.size(3)),
        padded_dim(padded(q.size(3))),
        value_dim(v.size(3)),
        padded_value(padded(v.size(3))),
        key_blocks((k.size(1) + kBlock - 1) / kBlock),
        query_blocks((q.size(1) + kBlock - 1) / kBlock) {}
  int64_t heads() const { return groups * per_group; }
  int64_t block_rows() const { return per_group * kBlock; }  ///< the heads of a group share its keys: one product
  int64_t padded_keys() const { return key_blocks * kBlock; }
};

inline std::unique_ptr<float[]> scratch(int64_t count) { return std::make_unique<float[]>(static_cast<size_t>(count)); }

/// out [padded_rows, padded(dim)] <- x * factor; rows from `count` on are zero.
template <class T>
RIALTO_INLINE void pack_rows(const T* x, int64_t step, int64_t count, int64_t padded_rows, int64_t dim, float factor,
                             float* out) {
  const int64_t width = padded(dim);
  for (int64_t i = 0; i < count; ++i) {
    const T* from = x + i * step;
    float* to = out + i * width;
    int64_t d = 0;
    for (; d + kLanes <= dim; d += kLanes) store(to + d, load(from + d) * factor);
    if (d < dim) {
      store(to + d, load_part(from + d, dim - d) * factor);
      d += kLanes;
    }
    for (; d < width; d += kLanes) store(to + d, splat(0));
  }
  std::memset(out + count * width, 0, static_cast<size_t>((padded_rows - count) * width) * sizeof(float));
}

/// The way back: x <- packed * factor.
template <class T>
RIALTO_INLINE void unpack_rows(const float* packed, int64_t count, int64_t dim, float factor, T* x, int64_t step) {
  const int64_t width = padded(dim);
  for (int64_t i = 0; i < count; ++i) {
    const float* from = packed + i * width;
    T* to = x + i * step;
    int64_t d = 0;
    for (; d + kLanes <= dim; d += kLanes) store(to + d, load(from + d) * factor);
    if (d < dim) store_part(to + d, load(from + d) * factor, dim - d);
  }
}

/// Blocks [block][width][48] of the transpose of `packed` [key_blocks * 48, width].
RIALTO_INLINE void transpose_blocks(const float* packed, int64_t key_blocks, int64_t width, float* out) {
  for (int64_t block = 0; block < key_blocks; ++block) {
    const float* from = packed + block * kBlock * width;
    float* to = out + block * kBlock * width;
    for (int64_t d = 0; d < width; ++d) {
      for (int64_t i = 0; i < kBlock; ++i) to[d * kBlock + i] = from[i * width + d];
    }
  }
}

/// Scores to cap * tanh(score / cap); `count` a multiple of 8.
RIALTO_INLINE void cap_scores(float* s, int64_t count, float cap) {
  const float inverse = 1.0F / cap;
  for (int64_t i = 0; i < count; i += kLanes) store(s + i, tanh(load(s + i) * inverse) * cap);
}

/// A query's keys inside one block: [from, to), empty when from >= to.
struct Visible {
  int64_t from, to;
};
RIALTO_INLINE Visible visible(const int32_t* first, const int32_t* last, int64_t i, int64_t block) {
  const int64_t from = first[i] - block * kBlock, to = last[i] - block * kBlock;
  return {from > 0 ? from : 0, to < kBlock ? to : kBlock};
}

/// What is dropped of a call's weights.
struct Drops {
  const Dropout& dropout;
  int64_t first_head, queries, keys, keys_here;
  const int64_t *query, *key;  ///< places; null: 0, 1, ...

  Drops(const Scoring& scoring, const Sizes& n)
      : dropout(scoring.dropout),
        first_head(scoring.places.first_head),
        queries(scoring.places.queries ? scoring.places.queries : n.queries),
        keys(scoring.places.keys ? scoring.places.keys : n.keys),
        keys_here(n.keys),
        query(scoring.places.query_S.defined() ? scoring.places.query_S.const_data_ptr<int64_t>() : nullptr),
        key(scoring.places.key_K.defined() ? scoring.places.key_K.const_data_ptr<int64_t>() : nullptr) {}
  bool active() const { return dropout.active(); }

  /// Multiplies 48 values of one query, which belong to the keys of `block`, by their factors.
  void drop(int64_t row, int64_t head, int64_t i, int64_t block, float* values) const {
    const RandomStream& stream = dropout.rows[static_cast<size_t>(row)];
    const int64_t line = ((first_head + head) * queries + (query ? query[i] : i)) * ((keys + 3) / 4);
    const auto scale = static_cast<float>(dropout.scale());
    float factor[4];
    int64_t made = -1;  // the four of this counter
    for (int64_t j = 0; j < std::min(kBlock, keys_here - block * kBlock); ++j) {
      const int64_t place = key ? key[block * kBlock + j] : block * kBlock + j;
      if (place / 4 != made) {
        made = place / 4;
        dropout_factors(stream, static_cast<uint64_t>(line + made), dropout.threshold(), scale, factor);
      }
      values[j] *= factor[place % 4];
    }
  }
};

/// Blocks that any query of [begin, end) sees: [from, to).
struct BlockRange {
  int64_t from, to;
};
inline BlockRange blocks_seen(const int32_t* first, const int32_t* last, int64_t begin, int64_t end) {
  int64_t from = std::numeric_limits<int64_t>::max(), to = 0;
  for (int64_t i = begin; i < end; ++i) {
    if (first[i] >= last[i]) continue;
    from = std::min<int64_t>(from, first[i]);
    to = std::max<int64_t>(to, last[i]);
  }
  return {from / kBlock, (to + kBlock - 1) / kBlock};  // of none: empty
}

}  // namespace rialto::kernels::attention_blocks
