// The loss scale's rules, step by step. Against Megatron-Core's own: tests/oracle/test_precision.py.
#include "rialto/optim/loss_scaler.h"

#include <gtest/gtest.h>

namespace rialto::optim {
namespace {

TEST(LossScaler, HalvesWhenPatienceIsOutAndDoublesAfterAWindow) {
  LossScaler scaler({.initial = 16, .min = 2, .window = 3, .hysteresis = 2});
  const auto after = [&](bool overflow) {
    scaler.update(overflow);
    return scaler.scale();
  };
  EXPECT_EQ(after(true), 16) << "one overflow is borne";
  EXPECT_EQ(after(true), 8);
  EXPECT_EQ(after(true), 4) << "and then every one counts";
  EXPECT_EQ(after(false), 4);
  EXPECT_EQ(after(false), 4);
  EXPECT_EQ(after(true), 2) << "clean iterations short of a window restore nothing";
  EXPECT_EQ(after(true), 2) << "the lowest";
  EXPECT_EQ(after(false), 2);
  EXPECT_EQ(after(false), 2);
  EXPECT_EQ(after(false), 4) << "a window without overflow";
  EXPECT_EQ(after(true), 4) << "which restored the patience";
  EXPECT_EQ(after(true), 2);
  EXPECT_EQ(scaler.inverse(), 0.5);
}

TEST(LossScaler, AConstantOneStays) {
  LossScaler scaler({.constant = 24});
  for (int i = 0; i < 5; ++i) scaler.update(true);
  EXPECT_EQ(scaler.scale(), 24);
  EXPECT_EQ(scaler.inverse(), static_cast<double>(1.0F / 24));
  EXPECT_FALSE(scaler.is_dynamic());
}

}  // namespace
}  // namespace rialto::optim
