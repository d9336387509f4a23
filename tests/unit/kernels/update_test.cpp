// Fused updates against the formulas in plain operations, in every way of storing the state.
#include <ATen/Parallel.h>

#include "compare.h"
#include "rialto/kernels/flat_update.h"
#include "rialto/kernels/remainder.h"

namespace rialto::kernels {
namespace {

enum class Rule { kAdamW, kAdam, kSgd, kPlainSgd, kLion };
enum class Store { kFp32, kMain, kRemainder };

FlatRange random_range(int64_t size, Store store, at::ScalarType moments) {
  at::manual_seed(11);
  FlatRange range;
  range.grad = random({size});
  range.moment1 = random({size}).to(moments);
  range.moment2 = random({size}).square().to(moments);
  range.main = random({size});
  if (store != Store::kFp32) range.weights = range.main.to(at::kBFloat16);
  if (store == Store::kRemainder) {
    range.remainder = at::zeros({size}, at::kShort);
    split_remainder(range.main, range.weights, range.remainder, range.moment2);
    range.main = at::Tensor();
  }
  return range;
}

FlatRange map(const FlatRange& range, const std::function<at::Tensor(const at::Tensor&)>& change) {
  FlatRange out;
  for (auto member : {&FlatRange::grad, &FlatRange::main, &FlatRange::weights, &FlatRange::remainder,
                      &FlatRange::moment1, &FlatRange::moment2})
    if ((range.*member).defined()) out.*member = change(range.*member);
  return out;
}
FlatRange copy(const FlatRange& range) {
  return map(range, [](const at::Tensor& t) { return t.clone(); });
}
FlatRange cut(const FlatRange& range, int64_t begin, int64_t end) {
  return map(range, [&](const at::Tensor& t) { return t.narrow(0, begin, end - begin); });
}

void update(FlatRange range, Rule rule, bool reference = false) {
  const AdamStep adam{.lr = 1e-2,
                      .beta1 = 0.9,
                      .beta2 = 0.95,
                      .eps = 1e-8,
                      .weight_decay = 0.1,
                      .grad_scale = 0.5,
                      .bias1 = 1 - 0.9 * 0.9,
                      .bias2 = 1 - 0.95 * 0.95,
                      .decoupled = rule == Rule::kAdamW};
  if (rule == Rule::kAdamW || rule == Rule::kAdam) {
    (reference ? ref::adam_update : adam_update)(range, adam);
  } else if (rule == Rule::kLion) {
    const LionStep lion{.lr = 1e-2, .beta1 = 0.9, .beta2 = 0.95, .weight_decay = 0.1, .grad_scale = 0.5};
    (reference ? ref::lion_update : lion_update)(range, lion);
  } else {
    if (rule == Rule::kPlainSgd) range.moment1 = at::Tensor();
    const SgdStep sgd{.lr = 1e-2, .momentum = 0.9, .weight_decay = 0.1, .grad_scale = 0.5};
    (reference ? ref::sgd_update : sgd_update)(range, sgd);
  }
}

at::Tensor main_of(const FlatRange& range) {
  return range.main.defined() ? range.main : join_remainder(range.weights, range.remainder, range.moment2);
}

bool same_bits(const FlatRange& a, const FlatRange& b) {
  bool same = at::equal(a.moment1, b.moment1) && at::equal(a.moment2, b.moment2) && at::equal(main_of(a), main_of(b));
  if (a.weights.defined() && b.weights.defined()) same = same && at::equal(a.weights, b.weights);
  return same;
}

constexpr Rule kRules[] = {Rule::kAdamW, Rule::kAdam, Rule::kSgd, Rule::kPlainSgd, Rule::kLion};

TEST(FlatUpdate, EqualsReference) {
  for (const Rule rule : kRules) {
    for (const Store store : {Store::kFp32, Store::kMain, Store::kRemainder}) {
      for (const at::ScalarType moments : {at::kFloat, at::kBFloat16}) {
        for (const int64_t size : {64, 5000, 13}) {
          const FlatRange a = random_range(size, store, moments), b = copy(a);
          update(a, rule);
          update(b, rule, true);
          const double moment_tolerance = moments == at::kFloat ? 1e-6 : 8e-3;
          expect_close(main_of(a), main_of(b), 1e-6);
          expect_close(a.moment1.to(at::kFloat), b.moment1.to(at::kFloat), moment_tolerance);
          expect_close(a.moment2.to(at::kFloat).abs(), b.moment2.to(at::kFloat).abs(), moment_tolerance);
          if (a.weights.defined()) {
            EXPECT_TRUE(at::equal(a.weights, main_of(a).to(at::kBFloat16)));
          }
        }
      }
    }
  }
}

TEST(FlatUpdate, AnyCutGivesTheSameBits) {
  constexpr int64_t kSize = 9001;
  for (const Rule rule : kRules) {
    for (const Store store : {Store::kFp32, Store::kMain, Store::kRemainder}) {
      const FlatRange whole = random_range(kSize, store, at::kFloat), parts = copy(whole);
      update(whole, rule);
      int64_t begin = 0;
      for (int64_t length = 1; begin < kSize; length = length * 2 + 3) {
        const int64_t end = std::min(kSize, begin + length);
        update(cut(parts, begin, end), rule);
        begin = end;
      }
      EXPECT_TRUE(same_bits(whole, parts));
    }
  }
}

TEST(FlatUpdate, DoesNotDependOnThreads) {
  for (const Rule rule : kRules) {
    const FlatRange one = random_range(100000, Store::kMain, at::kFloat), two = copy(one);
    at::set_num_threads(1);
    update(one, rule);
    at::set_num_threads(2);
    update(two, rule);
    EXPECT_TRUE(same_bits(one, two));
  }
}

TEST(FlatUpdate, RemaindersAreTheFp32MainParameters) {
  for (const at::ScalarType moments : {at::kFloat, at::kBFloat16}) {
    const FlatRange plain = random_range(300000, Store::kMain, moments);
    FlatRange halves = copy(plain);
    halves.remainder = at::zeros_like(halves.weights, at::kShort);
    split_remainder(halves.main, halves.weights, halves.remainder, halves.moment2);
    halves.main = at::Tensor();
    for (int i = 0; i < 3; ++i) {
      update(plain, Rule::kAdamW);
      update(halves, Rule::kAdamW);
    }
    EXPECT_TRUE(at::equal(main_of(halves), plain.main));
    EXPECT_TRUE(at::equal(halves.weights, plain.weights));
    EXPECT_TRUE(at::equal(halves.moment2.abs(), plain.moment2));
    EXPECT_TRUE(halves.moment2.signbit().any().item<bool>()) << "no tie was met";
  }
}

TEST(Remainder, EveryLowerHalfComesBack) {
  // All lower halves beside an even and an odd upper half, of both signs: ties up and down among them.
  const at::Tensor low = at::arange(65536, at::kInt);
  for (const int64_t high : {0x3f80, 0x3f81, 0xbf80, 0xbf81, 0x0000, 0x7f7f}) {
    const auto upper = static_cast<int32_t>(static_cast<uint32_t>(high) << 16);
    const at::Tensor main = (low + upper).view(at::kFloat);
    at::Tensor weights = at::zeros({65536}, at::kBFloat16), rest = at::zeros({65536}, at::kShort);
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      at::Tensor carrier = at::arange(65536, at::kFloat).to(type);
      const at::Tensor size = carrier.clone();
      split_remainder(main, weights, rest, carrier);
      EXPECT_TRUE(at::equal(weights, main.to(at::kBFloat16)));
      EXPECT_TRUE(at::equal(carrier.abs(), size));
      EXPECT_TRUE(at::equal(join_remainder(weights, rest, carrier).view(at::kInt), main.view(at::kInt))) << high;
    }
  }
}

TEST(Update, Fp16WeightsAreMainRounded) {
  for (const int64_t size : {5000, 13}) {
    FlatRange range = random_range(size, Store::kMain, at::kFloat);
    range.weights = at::zeros({size}, at::kHalf);
    const FlatRange plain = copy(range);
    update(range, Rule::kAdamW);
    update(plain, Rule::kAdamW, /*reference=*/true);
    EXPECT_TRUE(at::equal(range.weights, range.main.to(at::kHalf)));
    expect_close(range.main, plain.main, 1e-6);
  }
}

}  // namespace
}  // namespace rialto::kernels
