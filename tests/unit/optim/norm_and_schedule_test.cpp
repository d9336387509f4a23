// Gradient norm and clipping; learning rates at the corners of each schedule.
#include <ATen/Parallel.h>

#include "rialto/base/error.h"
#include "rialto/optim/grad_norm.h"
#include "rialto/optim/schedule.h"
#include "tests/unit/model/toy.h"

namespace rialto::optim {
namespace {

TEST(GradNorm, CountsEveryWeightOnceWhateverTheThreads) {
  model::Weights weights =
      model::toy_weights(model::toy_spec({.hidden = 128, .ffn = 300, .vocab = 1000, .tied = true}), at::kBFloat16);
  at::manual_seed(3);
  double want = 0;
  for (model::Weight& w : weights.all()) {
    w.main_grad.copy_(at::randn(w.main_grad.sizes()));
    want += w.main_grad.to(at::kDouble).square().sum().item<double>();
  }
  ASSERT_GT(weights.flat_size(), 3 * 65536) << "several blocks";
  at::set_num_threads(1);
  const double one = grad_norm(weights);
  at::set_num_threads(2);
  EXPECT_EQ(one, grad_norm(weights));
  EXPECT_NEAR(one / std::sqrt(want), 1, 1e-12);
}

TEST(ClipScale, IsMegatrons) {
  EXPECT_EQ(clip_scale(0.5, 1.0), 1);
  EXPECT_EQ(clip_scale(5, 0), 1);
  EXPECT_EQ(clip_scale(5, -1), 1);
  EXPECT_DOUBLE_EQ(clip_scale(4, 1), 1 / (4 + 1e-6));
}

LrSchedule schedule(DecayStyle style, WsdStyle wsd = WsdStyle::kExponential) {
  return {.init_lr = 0.1,
          .max_lr = 1,
          .min_lr = 0.2,
          .warmup_samples = 10,
          .decay_samples = 110,
          .wsd_decay_samples = 40,
          .style = style,
          .wsd_style = wsd};
}

TEST(LrSchedule, WarmUpThenStyle) {
  for (const DecayStyle style : {DecayStyle::kConstant, DecayStyle::kLinear, DecayStyle::kCosine, DecayStyle::kWsd}) {
    const LrSchedule s = schedule(style);
    EXPECT_DOUBLE_EQ(s.lr_at(0), 0.1);
    EXPECT_DOUBLE_EQ(s.lr_at(5), 0.1 + 0.9 / 2);
    EXPECT_DOUBLE_EQ(s.lr_at(10), 1);
    EXPECT_DOUBLE_EQ(s.lr_at(111), style == DecayStyle::kConstant ? 1 : 0.2);
  }
  EXPECT_DOUBLE_EQ(schedule(DecayStyle::kLinear).lr_at(60), 0.2 + 0.8 / 2);
  EXPECT_DOUBLE_EQ(schedule(DecayStyle::kCosine).lr_at(35), 0.2 + 0.8 * 0.5 * (std::cos(M_PI / 4) + 1));
  EXPECT_DOUBLE_EQ(schedule(DecayStyle::kCosine).lr_at(110), 0.2);
}

TEST(LrSchedule, WsdHoldsThenAnneals) {
  EXPECT_DOUBLE_EQ(schedule(DecayStyle::kWsd).lr_at(70), 1);
  const auto at_half = [](WsdStyle style) { return schedule(DecayStyle::kWsd, style).lr_at(90); };
  EXPECT_DOUBLE_EQ(at_half(WsdStyle::kLinear), 0.2 + 0.8 * 0.5);
  EXPECT_DOUBLE_EQ(at_half(WsdStyle::kCosine), 0.2 + 0.8 * 0.5 * (std::cos(M_PI / 2) + 1));
  EXPECT_DOUBLE_EQ(at_half(WsdStyle::kExponential), 0.2 + 0.8 * (2 * std::sqrt(0.5) - 1));
  EXPECT_DOUBLE_EQ(at_half(WsdStyle::kMinusSqrt), 0.2 + 0.8 * (1 - std::sqrt(0.5)));
}

TEST(LrSchedule, InverseSquareRootFollowsTheWarmUp) {
  const LrSchedule s = schedule(DecayStyle::kInverseSquareRoot);
  EXPECT_DOUBLE_EQ(s.lr_at(10), 1);
  EXPECT_DOUBLE_EQ(s.lr_at(40), std::sqrt(10.0) / std::sqrt(40.0));
  LrSchedule high = s;
  high.min_lr = 0.6;
  EXPECT_DOUBLE_EQ(high.lr_at(40), 0.6);
  EXPECT_DOUBLE_EQ(s.lr_at(111), 0.2);
}

TEST(WeightDecaySchedule, GrowsToItsEnd) {
  WeightDecaySchedule s{.start = 0.1, .end = 0.5, .incr_samples = 100, .style = IncrStyle::kLinear};
  EXPECT_DOUBLE_EQ(s.at(0), 0.1);
  EXPECT_DOUBLE_EQ(s.at(25), 0.2);
  EXPECT_DOUBLE_EQ(s.at(101), 0.5);
  s.style = IncrStyle::kCosine;
  EXPECT_DOUBLE_EQ(s.at(25), 0.1 + 0.4 * 0.5 * (std::cos(M_PI * 0.75) + 1));
}

TEST(Schedule, GroupsHaveRatesOfTheirOwn) {
  Schedule s{.lr = schedule(DecayStyle::kLinear), .decoupled_lr = schedule(DecayStyle::kLinear), .weight_decay = {}};
  s.decoupled_lr.max_lr = 0.5;
  EXPECT_DOUBLE_EQ(s.at(60).lr, 0.2 + 0.8 / 2);
  EXPECT_DOUBLE_EQ(s.at(60).decoupled_lr, 0.2 + 0.3 / 2);
}

TEST(LrSchedule, WithoutWarmUpStartsAtTheTop) {
  LrSchedule s = schedule(DecayStyle::kCosine);
  s.warmup_samples = 0;
  EXPECT_DOUBLE_EQ(s.lr_at(0), 1);
}

TEST(LrSchedule, NamesAreMegatrons) {
  EXPECT_EQ(parse_decay_style("WSD"), DecayStyle::kWsd);
  EXPECT_EQ(parse_wsd_style("minus_sqrt"), WsdStyle::kMinusSqrt);
  try {
    parse_decay_style("cosin");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    EXPECT_NE(std::string(error.what()).find("cosine"), std::string::npos);
  }
  EXPECT_THROW(parse_wsd_style(""), Error);
}

}  // namespace
}  // namespace rialto::optim
