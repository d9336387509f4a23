// Decoding with a cache gives what decoding without one gives.
#include "rialto/generate/generate.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <set>

#include <gtest/gtest.h>

#include "rialto/base/error.h"

namespace rialto::generate {
namespace {

spec::ModelSpec tiny() {
  spec::ModelSpec model;
  model.family = "llama";
  model.hidden = 32;
  model.vocab = 61;
  model.max_positions = 64;
  model.dtype = DType::kF32;
  spec::Attention attention;
  attention.num_heads = 4;
  attention.num_groups = 2;
  attention.head_dim = 8;
  attention.softmax_scale = 0.35;
  attention.rope = spec::Rope{10000, 8, {}};
  model.layers.assign(2, spec::Layer{spec::Norm{}, attention, spec::Norm{}, spec::DenseFfn{48}});
  model.init_std = 0.3;  // large, so that the likeliest token changes from place to place
  return model;
}

/// A spec with its weights and model.
struct Runnable {
  explicit Runnable(const spec::ModelSpec& model_spec)
      : spec(model_spec),
        weights(spec, {}, {}, {}, false),
        model((weights.init_random(spec, 3), spec), weights, {}, spec::stage_range(spec.layers.size(), {}, 0)) {}
  spec::ModelSpec spec;
  model::Weights weights;
  model::Model model;
};

class GenerateTest : public testing::Test {
 protected:
  Runnable runnable_{tiny()};
  model::Model& model_ = runnable_.model;
};

spec::ModelSpec windowed() {
  spec::ModelSpec model = tiny();
  auto& first = std::get<spec::Attention>(model.layers[0].mixer);
  first.window = 5;
  first.sinks = true;
  return model;
}
spec::ModelSpec latent() {
  spec::ModelSpec model = tiny();
  for (spec::Layer& layer : model.layers) {
    layer.mixer = spec::LatentAttention{.num_heads = 3,
                                        .q_lora_rank = 10,
                                        .kv_lora_rank = 12,
                                        .qk_nope_dim = 6,
                                        .qk_rope_dim = 4,
                                        .v_head_dim = 8,
                                        .latent_norm = {},
                                        .softmax_scale = 0.3,
                                        .rope = spec::Rope{10000, 4, {}, spec::RopePairing::kAdjacent}};
  }
  return model;
}
/// The rotation changes once the text is longer than 11 tokens, so the cache must be made again there.
spec::ModelSpec long_rope() {
  spec::ModelSpec model = tiny();
  for (spec::Layer& layer : model.layers) {
    std::get<spec::Attention>(layer.mixer).rope->scaling = spec::LongRopeScaling{.short_factors = {1, 1.1, 1.2, 1.3},
                                                                                 .long_factors = {3, 5, 9, 20},
                                                                                 .original_max_positions = 11,
                                                                                 .attention_factor = 1.2};
  }
  return model;
}

struct Kind {
  const char* name;
  spec::ModelSpec spec;
};
class GreedyTest : public testing::TestWithParam<Kind> {};

TEST_P(GreedyTest, EqualsRecomputingEverything) {
  const Runnable runnable(GetParam().spec);
  Sampling sampling;
  sampling.max_new_tokens = 20;
  for (const std::vector<int64_t>& prompt :
       {std::vector<int64_t>{5, 9, 2, 60}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}}) {
    const std::vector<int64_t> got = generate(runnable.model, prompt, sampling, nullptr);
    const at::NoGradGuard no_grad;
    std::vector<int64_t> tokens = prompt;
    for (int i = 0; i < 20; ++i) {
      at::Tensor row = at::tensor(at::ArrayRef<int64_t>(tokens)).unsqueeze(0);
      tokens.push_back(runnable.model.forward_logits(row).select(1, row.size(1) - 1).argmax(-1).item<int64_t>());
    }
    EXPECT_EQ(got, std::vector<int64_t>(tokens.begin() + static_cast<ptrdiff_t>(prompt.size()), tokens.end()));
    EXPECT_GT(std::set<int64_t>(got.begin(), got.end()).size(), 3u) << "a loop of few tokens would prove little";
  }
}
INSTANTIATE_TEST_SUITE_P(Kinds, GreedyTest,
                         testing::Values(Kind{"plain", tiny()}, Kind{"windowed", windowed()}, Kind{"latent", latent()},
                                         Kind{"long_rope", long_rope()}),
                         [](const auto& param_info) { return param_info.param.name; });

TEST(CachedRotation, OutgrownWithoutStartingAgainIsRefused) {
  const Runnable runnable(long_rope());
  const at::NoGradGuard no_grad;
  model::Cache cache = runnable.model.make_cache();
  runnable.model.forward_logits(at::ones({1, 11}, at::kLong), &cache);
  EXPECT_THROW(runnable.model.forward_logits(at::ones({1, 1}, at::kLong), &cache), Error);
}

TEST_F(GenerateTest, StopsAfterAnEndOfTextToken) {
  Sampling sampling;
  sampling.max_new_tokens = 20;
  const std::vector<int64_t> all = generate(model_, {5, 9}, sampling, nullptr);
  sampling.stop_ids = {all[6]};
  const std::vector<int64_t> stopped = generate(model_, {5, 9}, sampling, nullptr);
  ASSERT_LE(stopped.size(), 7u);
  EXPECT_EQ(stopped.back(), all[6]);
}

TEST_F(GenerateTest, TheCallerMayStop) {
  std::vector<int64_t> seen;
  const auto got = generate(model_, {1}, {}, [&](int64_t id) {
    seen.push_back(id);
    return seen.size() < 3;
  });
  EXPECT_EQ(got, seen);
  EXPECT_EQ(got.size(), 3u);
}

TEST_F(GenerateTest, AnEmptyPromptIsRefused) { EXPECT_THROW(generate(model_, {}, {}, nullptr), Error); }

}  // namespace
}  // namespace rialto::generate
