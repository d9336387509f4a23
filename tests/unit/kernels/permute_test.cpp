// Rows to experts and back: the order, the bodies against plain references, and that each way is the other's transpose.
#include "rialto/kernels/permute.h"

#include <ATen/Parallel.h>

#include "compare.h"

namespace rialto::kernels {
namespace {

at::Tensor random_choices(int64_t tokens, int64_t choices, int64_t experts) {
  return std::get<1>(at::rand({tokens, experts}).topk(choices, -1));
}

TEST(ExpertOrder, SortsStablyAndCountsEmptyExperts) {
  const at::Tensor experts =
      at::tensor({int64_t{3}, int64_t{0}, int64_t{0}, int64_t{3}, int64_t{1}, int64_t{3}}).view({3, 2});
  const ExpertOrder order = sort_by_expert(experts, 5);
  EXPECT_EQ(order.offsets, (std::vector<int64_t>{0, 2, 3, 3, 6, 6}));
  EXPECT_TRUE(
      at::equal(order.slot_P, at::tensor({int64_t{1}, int64_t{2}, int64_t{4}, int64_t{0}, int64_t{3}, int64_t{5}})));
  EXPECT_TRUE(at::equal(order.place_TK.reshape({-1}).index_select(0, order.slot_P), at::arange(6)));
}

TEST(ExpertOrder, PlacesOnlyTheExpertsThatAreHere) {
  const at::Tensor experts =
      at::tensor({int64_t{3}, int64_t{0}, int64_t{2}, int64_t{-1}, int64_t{1}, int64_t{3}}).view({3, 2});
  const ExpertOrder order = sort_by_expert(experts, 2, 2);
  EXPECT_EQ(order.offsets, (std::vector<int64_t>{0, 1, 3}));
  EXPECT_TRUE(at::equal(order.slot_P, at::tensor({int64_t{2}, int64_t{0}, int64_t{5}})));
  EXPECT_TRUE(at::equal(order.place_TK.reshape({-1}),
                        at::tensor({int64_t{1}, int64_t{-1}, int64_t{0}, int64_t{-1}, int64_t{-1}, int64_t{2}})));
}

TEST(Permute, SharesOfExpertsAddUpToTheWhole) {
  at::manual_seed(4);
  const at::Tensor experts = random_choices(37, 3, 6);
  const ExpertOrder whole = sort_by_expert(experts, 6);
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor y = random({111, 16}, type), x = random({37, 16}, type), w = random({37, 3});
    at::Tensor sum = at::zeros({37, 16}), dots = at::zeros({37, 3});
    int64_t place = 0;
    for (const int64_t first : {0, 2, 4}) {
      const ExpertOrder part = sort_by_expert(experts, 2, first);
      const at::Tensor rows = y.narrow(0, place, part.slot_P.numel());
      EXPECT_TRUE(at::equal(spread_rows(x, part), spread_rows(x, whole).narrow(0, place, rows.size(0))));
      expect_close(combine_rows(rows, part, w), ref::combine_rows(rows, part, w), tolerance_of(type), "combine");
      expect_close(slot_dots(x, rows, part), ref::slot_dots(x, rows, part), 2e-6, "dots");
      sum += combine_rows(rows.to(at::kFloat), part, w);
      dots += slot_dots(x, rows, part);
      place += rows.size(0);
    }
    EXPECT_EQ(place, 111);
    expect_close(sum, combine_rows(y.to(at::kFloat), whole, w), 2e-6, "sum");
    expect_close(dots, slot_dots(x, y, whole), 2e-6, "dots");
  }
}

TEST(Permute, EqualsReference) {
  at::manual_seed(1);
  for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    for (const int64_t width : {5, 16, 43}) {
      const ExpertOrder order = sort_by_expert(random_choices(37, 3, 6), 6);
      const at::Tensor x = random({37, width}, type), y = random({111, width}, type), w = random({37, 3});
      expect_close(cpu::spread_rows(x, order), ref::spread_rows(x, order), 0, "spread");
      expect_close(cpu::spread_rows(x, order, w), ref::spread_rows(x, order, w), tolerance_of(type), "weighted spread");
      expect_close(cpu::combine_rows(y, order), ref::combine_rows(y, order), tolerance_of(type), "combine");
      expect_close(cpu::combine_rows(y, order, w), ref::combine_rows(y, order, w), tolerance_of(type), "weighted");
      expect_close(cpu::slot_dots(x, y, order), ref::slot_dots(x, y, order), 2e-6, "dots");
    }
  }
}

TEST(Permute, CombineIsTheTransposeOfSpread) {
  at::manual_seed(2);
  const ExpertOrder order = sort_by_expert(random_choices(20, 2, 4), 4);
  const at::Tensor x = at::randn({20, 7}, at::kDouble), y = at::randn({40, 7}, at::kDouble);
  const at::Tensor w = at::randn({20, 2}, at::kDouble);
  const at::Tensor there = (spread_rows(x, order, w) * y).sum(), back = (x * combine_rows(y, order, w)).sum();
  EXPECT_NEAR(there.item<double>(), back.item<double>(), 1e-12);
  EXPECT_NEAR((w * slot_dots(x, y, order)).sum().item<double>(), back.item<double>(), 1e-12);
}

TEST(Permute, DoesNotDependOnThreads) {
  at::manual_seed(3);
  const ExpertOrder order = sort_by_expert(random_choices(300, 4, 8), 8);
  const at::Tensor y = random({1200, 24}), w = random({300, 4});
  at::set_num_threads(1);
  const at::Tensor one = combine_rows(y, order, w);
  at::set_num_threads(2);
  EXPECT_TRUE(at::equal(one, combine_rows(y, order, w)));
}

}  // namespace
}  // namespace rialto::kernels
