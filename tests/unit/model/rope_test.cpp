// Inverse frequencies against the formulas in fp64.
#include "rialto/model/rope.h"

#include <numbers>

#include "rialto/model/pass.h"
#include "toy.h"

namespace rialto::model {
namespace {

TEST(Rope, PlainAndLinear) {
  const spec::Rope plain{.base = 500000, .dim = 64, .scaling = {}};
  spec::Rope linear = plain;
  linear.scaling = spec::LinearScaling{8};
  const at::Tensor a = inverse_frequencies(plain), b = inverse_frequencies(linear);
  for (int64_t i = 0; i < 32; ++i) {
    const double want = std::pow(500000.0, -static_cast<double>(i) / 32);
    EXPECT_NEAR(a[i].item<double>() / want, 1, 1e-6);
    EXPECT_NEAR(b[i].item<double>() * 8 / want, 1, 1e-6);
  }
}

TEST(Rope, Llama3KeepsShortDividesLongBlendsBetween) {
  const spec::Rope rope{.base = 500000, .dim = 128, .scaling = spec::Llama3Scaling{32, 1, 4, 8192}};
  const at::Tensor got = inverse_frequencies(rope);
  int kept = 0, divided = 0, blended = 0;
  for (int64_t i = 0; i < 64; ++i) {
    const double inverse = std::pow(500000.0, -static_cast<double>(i) / 64),
                 wavelength = 2 * std::numbers::pi / inverse;
    double want = inverse;
    if (wavelength > 8192.0) {
      want = inverse / 32;
      ++divided;
    } else if (wavelength >= 8192.0 / 4) {
      const double smooth = (8192.0 / wavelength - 1) / 3;
      want = (1 - smooth) * inverse / 32 + smooth * inverse;
      ++blended;
    } else {
      ++kept;
    }
    EXPECT_NEAR(got[i].item<double>() / want, 1, 1e-5) << i;
  }
  EXPECT_GT(kept, 0);
  EXPECT_GT(divided, 0);
  EXPECT_GT(blended, 0);
}

TEST(Rope, TablesAreSharedExactlyWhenValuesAgree) {
  const spec::Rope a{.base = 10000, .dim = 64, .scaling = {}};
  spec::Rope b = a, c = a, d = a;
  b.base = 500000;
  c.scaling = spec::LinearScaling{2};
  d.scaling = spec::Llama3Scaling{};
  EXPECT_EQ(rope_key(a), rope_key(spec::Rope(a)));
  for (const auto& other : {b, c, d}) EXPECT_NE(rope_key(a), rope_key(other));
}

}  // namespace
}  // namespace rialto::model
