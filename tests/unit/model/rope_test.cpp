// Inverse frequencies against the formulas in fp64.
#include "rialto/model/rope.h"

#include <bit>
#include <numbers>
#include <set>

#include "rialto/base/error.h"
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

/// Bits of fp32 numbers, from transformers 5.23's ROPE_INIT_FUNCTIONS.
void expect_bits(const at::Tensor& got, const std::vector<uint32_t>& want) {
  ASSERT_EQ(got.numel(), static_cast<int64_t>(want.size()));
  ASSERT_EQ(got.scalar_type(), at::kFloat);
  for (size_t i = 0; i < want.size(); ++i)
    EXPECT_EQ(std::bit_cast<uint32_t>(got.const_data_ptr<float>()[i]), want[i]) << i;
}

TEST(Rope, YarnEqualsTransformersInEveryBit) {
  const spec::Rope deepseek{.base = 10000,
                            .dim = 64,
                            .scaling = spec::YarnScaling{.factor = 40,
                                                         .beta_fast = 32,
                                                         .beta_slow = 1,
                                                         .original_max_positions = 4096,
                                                         .mscale = 0.707,
                                                         .mscale_all_dim = 1}};
  expect_bits(inverse_frequencies(deepseek),
              {0x3f800000, 0x3f3ff911, 0x3f0ff59a, 0x3ed7e89b, 0x3ea1e89b, 0x3e72d423, 0x3e361887, 0x3e088d77,
               0x3dcccccd, 0x3d99940d, 0x3d6655c2, 0x3d1fc5ba, 0x3cdc321b, 0x3c968dc3, 0x3c4bf283, 0x3c088d77,
               0x3bb43959, 0x3b697066, 0x3b136a16, 0x3ab3a2cd, 0x3a4f3e37, 0x39d99312, 0x393a7753, 0x380bd471,
               0x37d1b717, 0x379d43a3, 0x376bdcf0, 0x3730df51, 0x3704a2b3, 0x36c6ecdd, 0x36952c42, 0x365fba4f});
  EXPECT_DOUBLE_EQ(spec::attention_factor(std::get<spec::YarnScaling>(deepseek.scaling)), 0.9210423553163399);
  const spec::Rope gpt_oss{
      .base = 150000,
      .dim = 64,
      .scaling = spec::YarnScaling{.factor = 32, .original_max_positions = 4096, .truncate = false}};
  expect_bits(inverse_frequencies(gpt_oss),
              {0x3f800000, 0x3f306535, 0x3ef316a2, 0x3ea77faa, 0x3e66d3fa, 0x3e1f0cfd, 0x3ddb2f9f, 0x3d970764,
               0x3d502194, 0x3d01ddd5, 0x3c9e646f, 0x3c3dec94, 0x3bdea840, 0x3b7cfe14, 0x3b093803, 0x3a89f778,
               0x39ef543c, 0x390799b9, 0x3820adc6, 0x37dd6dfc, 0x37989328, 0x375242fa, 0x3710e12c, 0x36c7a82b,
               0x3689928c, 0x363d9647, 0x3602a245, 0x35b40668, 0x35781728, 0x352af200, 0x34eb93eb, 0x34a252d3});
  const kernels::RopeTable table = rope_table(gpt_oss, at::tensor({int64_t{0}, int64_t{3}}));
  EXPECT_FLOAT_EQ(table.cos_TP[0][0].item<float>(), 1.3465735902799727F) << "the attention factor is in the table";
  EXPECT_FLOAT_EQ(table.sin_TP[1][0].item<float>(), 1.3465735902799727F * std::sin(3.0F));
}

TEST(Rope, LongRopeChoosesItsListByTheLengthOfTheText) {
  spec::LongRopeScaling scaling{
      .short_factors = {}, .long_factors = {}, .original_max_positions = 32, .attention_factor = 1.1832159566199232};
  for (int i = 0; i < 8; ++i) {
    scaling.short_factors.push_back(1 + 0.05 * i);
    scaling.long_factors.push_back(1.5 + 3.1 * i);
  }
  spec::Rope rope{.base = 10000, .dim = 16, .scaling = scaling};
  const std::vector<uint32_t> near = {0x3f800000, 0x3e9a32dd, 0x3dba2e8c, 0x3ce143a1,
                                      0x3c088888, 0x3b25cb60, 0x3a49a634, 0x39759f12};
  const std::vector<uint32_t> far = {0x3f2aaaab, 0x3d8cca44, 0x3c54c77b, 0x3b3fe446,
                                     0x3a3c97c2, 0x39430d62, 0x3850abfe, 0x3764ae95};
  expect_bits(inverse_frequencies(rope, 0), near);
  expect_bits(inverse_frequencies(rope, 32), near);
  expect_bits(inverse_frequencies(rope, 33), far);
  const auto first_sin = [&](int64_t last, int64_t known) {
    return rope_table(rope, at::arange(last + 1, at::kLong), known).sin_TP[1][0].item<float>();
  };
  EXPECT_EQ(first_sin(31, 0), first_sin(1, 32));
  EXPECT_EQ(first_sin(32, 0), first_sin(1, 33));
  EXPECT_NE(first_sin(31, 0), first_sin(32, 0));
  rope.dim = 18;
  EXPECT_THROW(inverse_frequencies(rope), Error);
}

TEST(Rope, TablesAreSharedOnlyByTheSameRope) {
  const spec::Rope base{.base = 10000, .dim = 16, .scaling = {}};
  std::vector<spec::Rope> all(9, base);
  all[1].base = 10001;
  all[2].dim = 8;
  all[3].pairing = spec::RopePairing::kAdjacent;
  all[4].scaling = spec::YarnScaling{.factor = 4};
  all[5].scaling = spec::YarnScaling{.factor = 4, .truncate = false};
  all[6].scaling = spec::YarnScaling{.factor = 4, .attention_factor = 2};
  all[7].scaling = spec::LongRopeScaling{.short_factors = {1}, .long_factors = {2}};
  all[8].scaling = spec::LongRopeScaling{.short_factors = {1}, .long_factors = {3}};
  std::set<std::string> keys;
  for (const spec::Rope& rope : all) keys.insert(rope_key(rope));
  EXPECT_EQ(keys.size(), all.size());
}

}  // namespace
}  // namespace rialto::model
