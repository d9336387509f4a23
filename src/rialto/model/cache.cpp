// Growing and reading one layer's cache: a growing buffer, or a ring for windowed layers.
#include "rialto/model/cache.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/base/error.h"
#include "rialto/model/pass.h"

namespace rialto::model {
namespace {

constexpr int64_t kFirstCapacity = 64;

/// Slots of a buffer whose slots are `dim`.
int64_t capacity(const at::Tensor& buffer, int64_t dim) { return buffer.defined() ? buffer.size(dim) : 0; }
int64_t capacity(const KeyValueCache& cache) { return capacity(cache.keys_BGSD, 2); }

/// Room for `wanted`, doubling, at most `limit`.
int64_t grown(int64_t have, int64_t wanted, int64_t limit) {
  if (have >= std::min(wanted, limit)) return have;
  int64_t size = std::max(have, kFirstCapacity);
  while (size < wanted) size *= 2;
  return std::min(size, limit);
}

/// A buffer of `shape` that begins with what `buffer` holds along `dim`.
void grow(at::Tensor& buffer, at::IntArrayRef shape, int64_t dim, const at::TensorOptions& options) {
  at::Tensor larger = at::zeros(shape, options);
  if (buffer.defined()) larger.narrow(dim, 0, buffer.size(dim)).copy_(buffer);
  buffer = larger;
}

/// Only called while slots still equal positions.
void reserve(KeyValueCache& cache, int64_t wanted, int64_t limit, const at::Tensor& k_BSGD, const at::Tensor& v_BSGD) {
  const int64_t have = capacity(cache), size = grown(have, wanted, limit);
  if (size == have) return;
  for (auto [buffer, x] : {std::pair(&cache.keys_BGSD, &k_BSGD), {&cache.values_BGSD, &v_BSGD}})
    grow(*buffer, {x->size(0), x->size(2), size, x->size(3)}, 2, x->options());
  at::Tensor positions = at::full({size}, -1, at::kLong);
  if (have > 0) positions.narrow(0, 0, have).copy_(cache.positions_S);
  cache.positions_S = positions;
}

void check_rows(const at::Tensor& held, int64_t rows) {
  if (!held.defined() || held.size(0) == rows) return;
  throw Error(ErrorKind::kShape, "cache", "the number of rows changed",
              {.got = std::to_string(rows), .want = std::to_string(held.size(0)), .hint = {}});
}

/// The held keys in position order, as [B,K,G,D].
at::Tensor in_order(const at::Tensor& buffer_BGSD, int64_t length, int64_t oldest_slot) {
  const at::Tensor held = buffer_BGSD.narrow(2, 0, length);
  const at::Tensor ordered =
      oldest_slot == 0
          ? held
          : at::cat({held.narrow(2, oldest_slot, length - oldest_slot), held.narrow(2, 0, oldest_slot)}, 2);
  return ordered.transpose(1, 2);
}

void write(KeyValueCache& cache, const at::Tensor& k_BSGD, const at::Tensor& v_BSGD, int64_t first_position) {
  const int64_t size = capacity(cache), tokens = k_BSGD.size(1);
  const int64_t kept = std::min(tokens, size);  // of a ring, only the last keys survive
  const int64_t first = first_position + tokens - kept;
  for (int64_t done = 0; done < kept;) {
    const int64_t slot = (first + done) % size, run = std::min(kept - done, size - slot);
    const auto source = [&](const at::Tensor& x) { return x.narrow(1, tokens - kept + done, run).transpose(1, 2); };
    cache.keys_BGSD.narrow(2, slot, run).copy_(source(k_BSGD));
    cache.values_BGSD.narrow(2, slot, run).copy_(source(v_BSGD));
    cache.positions_S.narrow(0, slot, run).copy_(at::arange(first + done, first + done + run, at::kLong));
    done += run;
  }
  cache.length = std::min(size, cache.length + tokens);
}

}  // namespace

bool extend_text(Cache& cache, int64_t num_positions) {
  const bool stale =
      cache.next_position > 0 && cache.num_positions <= cache.rotation_limit && num_positions > cache.rotation_limit;
  if (stale) {
    for (LayerCache& layer : cache.layers) layer = {};
    cache.next_position = 0;
  }
  cache.num_positions = num_positions;
  return !stale;
}

CachedKeys append(KeyValueCache& cache, const at::Tensor& k_BSGD, const at::Tensor& v_BSGD, int64_t first_position,
                  std::optional<int64_t> window) {
  const int64_t rows = k_BSGD.size(0), tokens = k_BSGD.size(1), held = cache.length;
  check_rows(cache.keys_BGSD, rows);
  const int64_t limit = window.value_or(INT64_MAX);
  const auto device = k_BSGD.device();
  const auto view = [&] {
    return CachedKeys{cache.keys_BGSD.narrow(2, 0, cache.length).transpose(1, 2),
                      cache.values_BGSD.narrow(2, 0, cache.length).transpose(1, 2),
                      {}};
  };
  if (tokens == 1 || first_position + tokens <= limit) {
    reserve(cache, first_position + tokens, limit, k_BSGD, v_BSGD);
    write(cache, k_BSGD, v_BSGD, first_position);
    CachedKeys keys = view();
    // One query sees all that a ring holds, in any order; before the ring wraps slots are positions.
    keys.range = tokens == 1 ? cached_key_range(rows, 1, cache.length - 1, {}, device)
                             : cached_key_range(rows, tokens, held, window, device);
    return keys;
  }
  // Several queries over a ring: the early ones need keys that the late ones overwrite, so they get a copy in order.
  const int64_t oldest = held == limit ? first_position % limit : 0;
  CachedKeys keys{k_BSGD, v_BSGD, cached_key_range(rows, tokens, held, window, device)};
  if (held > 0) {
    keys.k_BKGD = at::cat({in_order(cache.keys_BGSD, held, oldest), k_BSGD}, 1);
    keys.v_BKGD = at::cat({in_order(cache.values_BGSD, held, oldest), v_BSGD}, 1);
  }
  reserve(cache, first_position + tokens, limit, k_BSGD, v_BSGD);
  write(cache, k_BSGD, v_BSGD, first_position);
  return keys;
}

CachedLatents append(LatentCache& cache, const at::Tensor& rows_BSC) {
  const int64_t rows = rows_BSC.size(0), tokens = rows_BSC.size(1), held = cache.length;
  check_rows(cache.rows_BSC, rows);
  const int64_t have = capacity(cache.rows_BSC, 1), size = grown(have, held + tokens, INT64_MAX);
  if (size != have) grow(cache.rows_BSC, {rows, size, rows_BSC.size(2)}, 1, rows_BSC.options());
  cache.rows_BSC.narrow(1, held, tokens).copy_(rows_BSC);
  cache.length += tokens;
  return {cache.rows_BSC.narrow(1, 0, cache.length), cached_key_range(rows, tokens, held, {}, rows_BSC.device())};
}

template <class Kind>
Kind& cache_of(LayerCache& cache) {
  if (std::holds_alternative<std::monostate>(cache)) cache.emplace<Kind>();
  if (Kind* held = std::get_if<Kind>(&cache)) return *held;
  throw Error(ErrorKind::kInternal, "cache", "the cache of another kind of attention");
}
template KeyValueCache& cache_of<KeyValueCache>(LayerCache& cache);
template LatentCache& cache_of<LatentCache>(LayerCache& cache);

}  // namespace rialto::model
