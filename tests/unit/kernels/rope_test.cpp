// Rotation: the fast body against the reference, and both against the formula written out.
#include "rialto/kernels/rope.h"

#include "compare.h"
#include "rialto/base/error.h"

namespace rialto::kernels {
namespace {

TEST(Rope, SplitsAndMergesLikeReference) {
  at::manual_seed(4);
  const int64_t tokens = 19, groups = 3, queries = 2;
  for (const int64_t dim : {6, 16, 40}) {
    for (const int64_t turn : {int64_t{0}, dim / 2, dim / 4, -dim / 2, -dim / 4}) {  // negative: neighbours turn
      const int64_t pairs = std::abs(turn);
      const at::Tensor angles = random({tokens, pairs}) * 3;
      const RopeTable rope = pairs ? RopeTable{at::cos(angles), at::sin(angles), turn < 0} : RopeTable{};
      for (const auto in : {at::kFloat, at::kBFloat16, at::kHalf}) {
        for (const auto out : {at::kFloat, at::kBFloat16, at::kHalf}) {
          if (in != out && in != at::kFloat && out != at::kFloat) continue;  // no model mixes bf16 and fp16
          const double tolerance = in == out && in == at::kFloat ? 1e-6 : 1.6e-2;
          const at::Tensor qkv = random({tokens, groups * (queries + 2) * dim}, in);
          const Heads fast = cpu::split_heads(qkv, groups, dim, rope, out),
                      plain = ref::split_heads(qkv, groups, dim, rope, out);
          expect_close(fast.q_TND, plain.q_TND, tolerance, "q");
          expect_close(fast.k_TGD, plain.k_TGD, tolerance, "k");
          expect_close(fast.v_TGD, plain.v_TGD, 0, "v");
          expect_close(cpu::merge_heads(plain, rope, in), ref::merge_heads(plain, rope, in), tolerance, "merge");
          // A rotation's transpose is its inverse: merging what was split gives the row back.
          expect_close(cpu::merge_heads(fast, rope, in), qkv, in == out && in == at::kFloat ? 1e-6 : 2.5e-2,
                       "round trip");
        }
      }
    }
  }
}

TEST(Rope, TableHoldsEveryTokensAngles) {
  const at::Tensor positions = at::tensor({int64_t{0}, int64_t{1}, int64_t{5}, int64_t{4095}, int64_t{131071}});
  const at::Tensor frequencies = at::tensor({1.0F, 0.37F, 1e-2F, 1e-4F});
  const RopeTable table = make_rope_table(positions, frequencies, 1.25, true);
  EXPECT_TRUE(table.adjacent);
  // The angle is an fp32 number, as in transformers; its cosine and sine are exact to rounding.
  const at::Tensor angles = (positions.to(at::kFloat).unsqueeze(1) * frequencies.unsqueeze(0)).to(at::kDouble);
  expect_close(table.cos_TP, at::cos(angles) * 1.25, 2e-7, "cos");
  expect_close(table.sin_TP, at::sin(angles) * 1.25, 2e-7, "sin");
}

TEST(Rope, RotatesSomeChannelsOfAHead) {
  at::manual_seed(14);
  const int64_t tokens = 21, pairs = 10;
  const at::Tensor angles = random({tokens, pairs}) * 3;
  for (const bool adjacent : {false, true}) {
    const RopeTable rope{at::cos(angles), at::sin(angles), adjacent};
    for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
      const at::Tensor x = random({tokens, 3, 37}, type);
      for (const int64_t first : {0, 8, 17}) {
        const at::Tensor y = cpu::rotate(x, rope, false, first);
        expect_close(y, ref::rotate(x, rope, false, first), type == at::kFloat ? 1e-6 : 1.6e-2, "forward");
        expect_close(cpu::rotate(y, rope, true, first), x, type == at::kFloat ? 2e-6 : 2.5e-2, "and back");
        EXPECT_TRUE(at::equal(y.narrow(-1, 0, first), x.narrow(-1, 0, first)));
        EXPECT_TRUE(at::equal(y.slice(-1, first + 20), x.slice(-1, first + 20)));
      }
      EXPECT_THROW(rotate(x, rope, false, 18), Error);
    }
    // Written out: channel 2i turns with 2i + 1, or i with i + P.
    const at::Tensor x = random({tokens, 1, 20}), y = cpu::rotate(x, rope, false);
    for (int64_t i = 0; i < pairs; ++i) {
      const int64_t from = adjacent ? 2 * i : i, to = adjacent ? 2 * i + 1 : i + pairs;
      const at::Tensor a = x.select(2, from).flatten(), b = x.select(2, to).flatten();
      const at::Tensor c = rope.cos_TP.select(1, i), s = rope.sin_TP.select(1, i);
      expect_close(y.select(2, from).flatten(), a * c - b * s, 1e-6, "first of a pair");
      expect_close(y.select(2, to).flatten(), b * c + a * s, 1e-6, "second of a pair");
    }
  }
}

}  // namespace
}  // namespace rialto::kernels
