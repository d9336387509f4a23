// Generation's cache: prefill and steps give the logits of one full forward pass, windows included.
#include "rialto/model/cache.h"

#include "rialto/base/error.h"
#include "toy.h"

namespace rialto::model {
namespace {

struct Case {
  std::optional<int64_t> window;
  std::vector<int64_t> pieces;  ///< how many tokens each call feeds
};
class CachedForward : public testing::TestWithParam<Case> {};

TEST_P(CachedForward, EqualsFullForward) {
  const spec::ModelSpec spec = toy_spec({.qk_norm = true, .window = GetParam().window});
  Weights weights = toy_weights(spec, at::kFloat, false);
  const Model model(spec, weights, {}, whole(spec));
  int64_t total = 0;
  for (const int64_t piece : GetParam().pieces) total += piece;
  const at::Tensor tokens = toy_batch(spec, 2, total).tokens_BS;
  const at::Tensor want = model.forward_logits(tokens);
  EXPECT_FALSE(want.requires_grad());
  Cache cache = model.make_cache();
  int64_t done = 0;
  for (const int64_t piece : GetParam().pieces) {
    const at::Tensor got = model.forward_logits(tokens.narrow(1, done, piece), &cache);
    expect_close(got, want.narrow(1, done, piece), 1e-5, "after " + std::to_string(done));
    done += piece;
    EXPECT_EQ(cache.next_position, done);
  }
  if (GetParam().window) {
    const auto& ring = std::get<KeyValueCache>(cache.layers[0]);
    EXPECT_LE(ring.keys_BGSD.size(2), std::max<int64_t>(64, *GetParam().window)) << "a ring does not grow";
    EXPECT_LE(ring.length, *GetParam().window);
  }
}

std::vector<int64_t> steps(int64_t prefill, int64_t count) {
  std::vector<int64_t> pieces = {prefill};
  pieces.insert(pieces.end(), static_cast<size_t>(count), 1);
  return pieces;
}
INSTANTIATE_TEST_SUITE_P(Pieces, CachedForward,
                         testing::Values(Case{{}, steps(10, 5)}, Case{{}, steps(1, 70)}, Case{{}, {60, 30, 1, 50}},
                                         Case{16, steps(5, 30)}, Case{16, steps(40, 20)},
                                         Case{16, {10, 20, 1, 16, 5, 3, 1}}, Case{100, {90, 1, 30, 1, 1}},
                                         Case{1, {3, 1, 2}}));

/// Layers of several kinds in one model: a window with sinks, no positions, another base, latents.
spec::ModelSpec mixed_spec() {
  spec::ModelSpec spec = toy_spec({.layers = 5});
  const auto grouped = [&](size_t l) -> spec::Attention& { return std::get<spec::Attention>(spec.layers[l].mixer); };
  grouped(0).window = 7;
  grouped(0).sinks = true;
  grouped(1).rope.reset();
  grouped(1).softcap = 2;
  grouped(2).rope = spec::Rope{77, 6, {}, spec::RopePairing::kAdjacent};
  spec::LatentAttention latent{.num_heads = 5,
                               .q_lora_rank = 11,
                               .kv_lora_rank = 13,
                               .qk_nope_dim = 6,
                               .qk_rope_dim = 4,
                               .v_head_dim = 7,
                               .latent_norm = spec::Norm{.eps = 1e-6},
                               .softmax_scale = 0.3,
                               .rope = spec::Rope{10000, 4, {}, spec::RopePairing::kAdjacent}};
  spec.layers[3].mixer = latent;
  latent.q_lora_rank.reset();
  spec.layers[4].mixer = latent;
  return spec;
}

TEST(Cache, LayersOfSeveralKindsEqualFullForward) {
  const spec::ModelSpec spec = mixed_spec();
  Weights weights = toy_weights(spec, at::kFloat, false);
  const Model model(spec, weights, {}, whole(spec));
  for (const std::vector<int64_t>& pieces :
       {steps(9, 20), std::vector<int64_t>{1, 30, 1, 12, 1, 1}, std::vector<int64_t>{70, 1, 1}}) {
    int64_t total = 0;
    for (const int64_t piece : pieces) total += piece;
    const at::Tensor tokens = toy_batch(spec, 2, total).tokens_BS, want = model.forward_logits(tokens);
    Cache cache = model.make_cache();
    int64_t done = 0;
    for (const int64_t piece : pieces) {
      const at::Tensor got = model.forward_logits(tokens.narrow(1, done, piece), &cache);
      expect_close(got, want.narrow(1, done, piece), 1e-5, "after " + std::to_string(done));
      done += piece;
    }
    const auto& latents = std::get<LatentCache>(cache.layers[3]);
    EXPECT_EQ(latents.length, total);
    EXPECT_EQ(latents.rows_BSC.size(2), 13 + 4) << "one latent and one rotated key per token, whatever the heads";
  }
}

TEST(Cache, KindsAreNotMixedUp) {
  LayerCache cache;
  cache_of<LatentCache>(cache).length = 3;
  EXPECT_EQ(cache_of<LatentCache>(cache).length, 3);
  EXPECT_THROW(cache_of<KeyValueCache>(cache), Error);
}

TEST(Cache, RowsMustNotChange) {
  KeyValueCache cache;
  const at::Tensor two = at::zeros({2, 3, 1, 8}), one = at::zeros({1, 1, 1, 8});
  append(cache, two, two, 0, {});
  EXPECT_THROW(append(cache, one, one, 3, {}), Error);
  LatentCache latents;
  append(latents, two.select(2, 0));
  EXPECT_THROW(append(latents, one.select(2, 0)), Error);
}

TEST(Cache, HeldPositionsAreTheLastOnes) {
  KeyValueCache cache;
  for (int64_t p = 0; p < 11; ++p) {
    const at::Tensor k = at::full({1, 1, 1, 8}, static_cast<double>(p));
    append(cache, k, k, p, 4);
  }
  EXPECT_TRUE(at::equal(std::get<0>(cache.positions_S.sort()), at::arange(7, 11, at::kLong)));
  EXPECT_TRUE(at::equal(cache.keys_BGSD.select(3, 0).flatten(), cache.positions_S.to(at::kFloat)));
}

}  // namespace
}  // namespace rialto::model
