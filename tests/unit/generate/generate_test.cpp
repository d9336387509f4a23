// Decoding with a cache gives what decoding without one gives.
#include "rialto/generate/generate.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

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

class GenerateTest : public testing::Test {
 protected:
  GenerateTest()
      : spec_(tiny()),
        weights_(spec_, {}, {}, {}, false),
        model_((weights_.init_random(spec_, 3), spec_), weights_, {}, spec::stage_range(2, {}, 0)) {}
  spec::ModelSpec spec_;
  model::Weights weights_;
  model::Model model_;
};

TEST_F(GenerateTest, GreedyEqualsRecomputingEverything) {
  Sampling sampling;
  sampling.max_new_tokens = 20;
  const std::vector<int64_t> prompt = {5, 9, 2, 60};
  const std::vector<int64_t> got = generate(model_, prompt, sampling, nullptr);
  const at::NoGradGuard no_grad;
  std::vector<int64_t> tokens = prompt;
  for (int i = 0; i < 20; ++i) {
    at::Tensor row = at::tensor(at::ArrayRef<int64_t>(tokens)).unsqueeze(0);
    tokens.push_back(model_.forward_logits(row).select(1, row.size(1) - 1).argmax(-1).item<int64_t>());
  }
  EXPECT_EQ(got, std::vector<int64_t>(tokens.begin() + 4, tokens.end()));
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
