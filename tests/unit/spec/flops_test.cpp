// Counts checked by hand.
#include <gtest/gtest.h>

#include "tests/unit/spec/toy_models.h"

namespace rialto::spec {
namespace {

constexpr double kLayerMatrices = 64 * 24 + 24 * 32 + 40 * 24 + 24 * 20;  // qkv, proj, fc1, fc2 of the toy
constexpr double kHead = 50 * 24;

TEST(Flops, ParametersAreCountedOnce) {
  const double norms = 4 * 2 * 24 + 24;
  EXPECT_EQ(static_cast<double>(num_parameters(test::toy_model())), 2 * kHead + 4 * kLayerMatrices + norms);
  EXPECT_EQ(static_cast<double>(num_parameters(test::toy_model({.tied = true}))), kHead + 4 * kLayerMatrices + norms);
}

TEST(Flops, MatricesHeadAndAttention) {
  const double attention =
      4 * 32.0 * 16;  // layers, width of heads, sequence length (two products, half of them masked)
  EXPECT_DOUBLE_EQ(train_flops(test::toy_model(), 100, 16), 6 * 100 * (4 * kLayerMatrices + kHead + attention));
  EXPECT_DOUBLE_EQ(train_flops(test::toy_model({.tied = true}), 100, 16), train_flops(test::toy_model(), 100, 16));
}

TEST(Flops, WindowLimitsAttention) {
  ModelSpec model = test::toy_model();
  for (Layer& layer : model.layers) std::get<Attention>(layer.mixer).window = 4;
  // 16 queries see 1 + 2 + 3 + 13 * 4 keys; the formula counts half of the corner, as it does for the full triangle.
  const double keys = 4 * (2 - 4.0 / 16);
  EXPECT_DOUBLE_EQ(train_flops(model, 100, 16), 6 * 100 * (4 * kLayerMatrices + kHead + 4 * 32 * keys));
}

TEST(Flops, ExpertsCountAsOftenAsChosen) {
  ModelSpec few = test::toy_moe(1, 8), many = test::toy_moe(1, 16);
  const double router = 24;
  EXPECT_DOUBLE_EQ(train_flops(many, 1, 16) - train_flops(few, 1, 16), 6 * 8 * router);
}

}  // namespace
}  // namespace rialto::spec
