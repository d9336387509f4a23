// FP8 codes, scales and products of every recipe against plain arithmetic, element by element.
#include "rialto/kernels/fp8.h"

#include <cmath>
#include <limits>

#include "compare.h"
#include "rialto/base/fp8.h"
#include "rialto/kernels/gemm.h"

namespace rialto::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// torch's own conversion, which does not saturate: behind a clamp.
uint8_t torch_code(float value, Fp8Format format) {
  const at::Tensor code = at::tensor({value}).clamp(-largest(format), largest(format)).to(type_of(format));
  return static_cast<const uint8_t*>(code.const_data_ptr())[0];
}

TEST(Fp8, EveryCodeIsItsOwnNearestAndMiddlesGoToTheEvenOne) {
  for (const Fp8Format format : {Fp8Format::kE4M3, Fp8Format::kE5M2}) {
    const auto encode = [&](float x) { return format == Fp8Format::kE4M3 ? to_e4m3(x) : to_e5m2(x); };
    for (int code = 0; code < 127; ++code) {
      at::Tensor two = at::empty({2}, at::kByte);
      two.fill_(code).select(0, 1).add_(1);
      const at::Tensor values = two.view(type_of(format)).to(at::kFloat);
      const float low = values[0].item<float>(), high = values[1].item<float>();
      if (!std::isfinite(low) || low > largest(format)) break;
      EXPECT_EQ(encode(low), code);
      EXPECT_EQ(encode(-low), code | 0x80);
      if (format == Fp8Format::kE4M3) EXPECT_EQ(from_e4m3(static_cast<uint8_t>(code)), low);
      if (!std::isfinite(high)) break;
      const float middle = low + (high - low) / 2;
      for (const float x : {middle, std::nextafter(middle, 0.0F), std::nextafter(middle, kInfinity)})
        EXPECT_EQ(encode(x), torch_code(x, format)) << x;
    }
    EXPECT_EQ(encode(kInfinity), encode(largest(format)));
    EXPECT_EQ(encode(std::nanf("")) & 0x7F, 0x7F);
  }
}

/// What TransformerEngine and the MX specification say of one block's scale, in fp64 where that is the same.
float plain_scale(float amax, float most, ScaleRule rule) {
  if (!std::isfinite(amax)) return std::nanf("");
  if (rule == ScaleRule::kE8m0) {
    const double exact = static_cast<double>(amax * (1.0F / most));
    const int exponent = exact > 0 ? std::max(-127, static_cast<int>(std::ceil(std::log2(exact)))) : -127;
    return static_cast<float>(std::exp2(-exponent));
  }
  if (amax == 0) return 1;
  const float scale = std::min(most / amax, std::numeric_limits<float>::max());
  return rule == ScaleRule::kPowerOfTwo
             ? static_cast<float>(std::exp2(std::floor(std::log2(static_cast<double>(scale)))))
             : scale;
}

class Quantise : public testing::TestWithParam<Fp8Blocks> {};

TEST_P(Quantise, CodesAndScalesOfEveryBlock) {
  const Fp8Blocks blocks = GetParam();
  at::manual_seed(3);
  at::Tensor x = random({150, 300}) * at::exp2(at::randint(-20, 20, {150, 1}, at::kFloat));
  x.narrow(0, 3, 1).zero_();
  x.narrow(0, 7, 1).mul_(1e-44);
  for (const Fp8Format format : {Fp8Format::kE4M3, Fp8Format::kE5M2}) {
    const at::Tensor given = at::scalar_tensor(3.7F);
    const Fp8Matrix got = cpu::fp8_quantise(x, format, blocks, given),
                    ref = ref::fp8_quantise(x, format, blocks, given);
    EXPECT_TRUE(at::equal(got.codes.view(at::kByte), ref.codes.view(at::kByte)));
    EXPECT_TRUE(at::equal(got.inverse_scales, ref.inverse_scales));
    const int64_t tall = blocks.rows ? blocks.rows : 150, wide = blocks.cols ? blocks.cols : 300;
    ASSERT_EQ(got.inverse_scales.sizes(), at::IntArrayRef({(150 + tall - 1) / tall, (300 + wide - 1) / wide}));
    const auto* codes = static_cast<const uint8_t*>(got.codes.const_data_ptr());
    const at::Tensor decoded = fp8_dequantise(got);
    for (int64_t r = 0; r < 150; r += 7) {
      for (int64_t c = 0; c < 300; c += 13) {
        const int64_t top = r / tall * tall, left = c / wide * wide;
        const at::Tensor block = x.slice(0, top, top + tall).slice(1, left, left + wide);
        const float scale = blocks.rule == ScaleRule::kGiven
                                ? 3.7F
                                : plain_scale(block.abs().max().item<float>(), largest(format), blocks.rule);
        EXPECT_EQ(got.inverse_scales[r / tall][c / wide].item<float>(), 1.0F / scale);
        EXPECT_EQ(codes[r * 300 + c], torch_code(x[r][c].item<float>() * scale, format)) << r << " " << c;
        EXPECT_EQ(decoded[r][c].item<float>(), got.codes[r][c].to(at::kFloat).item<float>() * (1.0F / scale));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Recipes, Quantise,
                         testing::Values(Fp8Blocks{ScaleRule::kGiven, 0, 0}, Fp8Blocks{ScaleRule::kRatio, 0, 0},
                                         Fp8Blocks{ScaleRule::kPowerOfTwo, 128, 128},
                                         Fp8Blocks{ScaleRule::kPowerOfTwo, 1, 128},
                                         Fp8Blocks{ScaleRule::kE8m0, 1, 32}));

TEST(Fp8, WhatIsNotFiniteStaysVisible) {
  for (const float bad : {kInfinity, -kInfinity, std::nanf("")}) {
    for (const ScaleRule rule : {ScaleRule::kGiven, ScaleRule::kRatio, ScaleRule::kPowerOfTwo, ScaleRule::kE8m0}) {
      at::Tensor x = at::ones({4, 64});
      x[1][2] = bad;
      for (const auto& run : {cpu::fp8_quantise, ref::fp8_quantise}) {
        const at::Tensor y = fp8_dequantise(run(x, Fp8Format::kE5M2, {rule, 1, 32}, at::scalar_tensor(1.0F)));
        EXPECT_TRUE(at::isnan(y.narrow(0, 1, 1).narrow(1, 0, 32)).all().item<bool>());
        EXPECT_TRUE(at::isfinite(y.narrow(0, 2, 2)).all().item<bool>());
      }
    }
  }
}

/// x [R,K] as the recipe's product over K sees it, in fp64, from ref alone.
at::Tensor seen(const at::Tensor& x, Operand operand, const GemmRecipe& recipe) {
  const Fp8Format format = operand == Operand::kGradient ? recipe.gradient : Fp8Format::kE4M3;
  const int64_t rows = operand == Operand::kWeight ? 128 : 1;
  const auto quantised = [&]() -> Fp8Matrix {
    switch (recipe.scaling) {
      case GemmScaling::kDelayed:
        return ref::fp8_quantise(x, format, {ScaleRule::kGiven, 0, 0}, recipe.delayed->scale(operand));
      case GemmScaling::kBlocks:
        return ref::fp8_quantise(x, format, {ScaleRule::kPowerOfTwo, rows, 128});
      case GemmScaling::kMx:
        return ref::fp8_quantise(x, format, {ScaleRule::kE8m0, 1, 32});
      default:
        return ref::fp8_quantise(x, format, {ScaleRule::kRatio, 0, 0});
    }
  };
  return fp8_dequantise(quantised()).to(at::kDouble);
}

class Recipe : public testing::TestWithParam<GemmScaling> {};

TEST_P(Recipe, ThreeProductsQuantiseAlongWhatTheySum) {
  at::manual_seed(4);
  for (const Fp8Format gradient : {Fp8Format::kE4M3, Fp8Format::kE5M2}) {
    DelayedScale delayed({.history_len = 3, .gradient = gradient}, at::kCPU);
    const GemmRecipe recipe{.scaling = GetParam(), .gradient = gradient, .delayed = &delayed};
    for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
      const at::Tensor x = random({70, 140}, type), w = random({200, 140}, type), b = random({200}, type),
                       dy = random({70, 200}, type) * 1e-2;
      using enum Operand;
      expect_close(gemm_forward(x, w, b, at::kFloat, recipe),
                   at::mm(seen(x, kInput, recipe), seen(w, kWeight, recipe).t()) + b.to(at::kDouble), 1e-5, "forward");
      at::Tensor y = at::empty({70, 200}, type), dx = at::empty({70, 140}, at::kFloat);
      gemm_forward_out(y, x, w, {}, recipe);
      EXPECT_TRUE(at::equal(y, gemm_forward(x, w, {}, type, recipe)));
      gemm_grad_input_out(dx, dy, w, recipe);
      expect_close(dx, at::mm(seen(dy, kGradient, recipe), seen(w.t(), kWeight, recipe).t()), 1e-5, "input gradient");
      EXPECT_TRUE(at::equal(dx, gemm_grad_input(dy, w, at::kFloat, recipe)));
      at::Tensor dw = at::ones({200, 140});
      gemm_grad_weight(dw, dy, x, recipe);
      expect_close(dw, 1 + at::mm(seen(dy.t(), kGradient, recipe), seen(x.t(), kInput, recipe).t()), 1e-5,
                   "weight gradient");
      GemmRecipe wide = recipe;
      wide.fp8_wgrad = false;
      dw.zero_();
      gemm_grad_weight(dw, dy, x, wide);
      at::Tensor plain = at::zeros({200, 140});
      gemm_grad_weight(plain, dy, x);
      EXPECT_TRUE(at::equal(dw, plain));
      delayed.advance();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Recipes, Recipe,
                         testing::Values(GemmScaling::kDelayed, GemmScaling::kCurrent, GemmScaling::kBlocks,
                                         GemmScaling::kMx));

TEST(DelayedScale, FollowsTheLargestOfTheLastSteps) {
  using enum Operand;
  DelayedScale delayed({.history_len = 3, .margin = 1}, at::kCPU);
  const auto see = [&](Operand operand, float amax) { delayed.observe(operand, at::scalar_tensor(amax)); };
  const auto scale = [&](Operand operand) { return delayed.scale(operand).item<float>(); };
  EXPECT_EQ(scale(kInput), 1);
  const float magnitudes[] = {4, 1, 2, 0.5F, 0, 0}, expected[] = {4, 4, 4, 2, 2, 0.5F};
  for (int step = 0; step < 6; ++step) {
    see(kInput, magnitudes[step] / 2);
    see(kInput, magnitudes[step]);
    see(kInput, magnitudes[step] / 4);
    see(kGradient, magnitudes[step]);
    const float before = scale(kInput);
    EXPECT_EQ(scale(kInput), before) << "a scale moves at the end of a step alone";
    delayed.advance();
    EXPECT_EQ(scale(kInput), 448 / expected[step] / 2) << step;
    EXPECT_EQ(scale(kGradient), 57344 / expected[step] / 2) << step;
    EXPECT_EQ(scale(kWeight), 1) << "nothing was seen";
  }
  delayed.advance();
  EXPECT_EQ(scale(kInput), 448 / 0.5F / 2) << "a history of zeros leaves the scale";
  see(kInput, kInfinity);
  see(kInput, std::nanf(""));
  delayed.advance();
  EXPECT_EQ(delayed.history()[0][0].item<float>(), 0) << "an overflow leaves no trace";

  DelayedScale recent({.history_len = 3, .most_recent = true}, at::kCPU);
  for (const float amax : {4.0F, 1.0F}) {
    recent.observe(kInput, at::scalar_tensor(amax));
    recent.advance();
    EXPECT_EQ(recent.scale(kInput).item<float>(), 448 / amax);
  }
}

}  // namespace
}  // namespace rialto::kernels
