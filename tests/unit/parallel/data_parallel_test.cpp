// Reducing and gathering between real ranks: sharded or not, overlapped or not, the same bits.
#include "rialto/parallel/data_parallel.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "tests/unit/comm/run_ranks.h"
#include "tests/unit/model/toy.h"

namespace rialto::parallel {
namespace {

model::Weights weights_of(const comm::Mesh& mesh) {
  return {model::toy_spec({}), mesh.layout(), mesh.coords(), {at::kCPU, at::kFloat}, true};
}

void fill_gradients(model::Weights& weights, int rank) {
  const at::NoGradGuard no_grad;
  at::manual_seed(static_cast<uint64_t>(rank));
  for (const model::Weight& weight : weights.all())
    if (weight.main_grad.defined()) weight.main_grad.copy_(at::randn(weight.main_grad.sizes()));
}

TEST(DataParallel, ShardedRanksHaveTheBitsOfWholeOnes) {
  EXPECT_EQ(run_ranks(3,
                      [](const std::shared_ptr<comm::World>& world) {
                        const comm::Mesh mesh(spec::Layout{.dp = 3}, world);
                        model::Weights plain = weights_of(mesh), sharded = weights_of(mesh);
                        DataParallel whole(plain, mesh, {.bucket_size = 3000});
                        DataParallel parts(sharded, mesh, {.bucket_size = 3000, .shard_optimizer = true});
                        for (model::Weights* weights : {&plain, &sharded}) fill_gradients(*weights, world->rank());
                        whole.reduce_gradients();
                        parts.reduce_gradients();
                        EXPECT_EQ(whole.grad_norm(), parts.grad_norm());
                        EXPECT_NEAR(whole.grad_norm(), plain.flat_grad().norm().item<double>(), 1e-2);
                        const at::NoGradGuard no_grad;
                        const std::vector<Range> owned = parts.owned().value();
                        for (const Range& range : owned) {
                          const auto own = [&](at::Tensor& flat) {
                            return flat.narrow(0, range.begin, range.end - range.begin);
                          };
                          EXPECT_TRUE(at::equal(own(plain.flat_grad()), own(sharded.flat_grad())));
                          own(sharded.flat_data()).copy_(own(sharded.flat_grad()));
                        }
                        parts.gather_weights();
                        EXPECT_TRUE(at::equal(sharded.flat_data(), plain.flat_grad()));
                      }),
            0);
}

TEST(DataParallel, ABucketThatIsNotFiniteIsNamedWithItsRank) {
  EXPECT_EQ(run_ranks(2,
                      [](const std::shared_ptr<comm::World>& world) {
                        const comm::Mesh mesh(spec::Layout{.dp = 2}, world);
                        model::Weights weights = weights_of(mesh);
                        DataParallel ranks(weights, mesh, {.bucket_size = 3000, .check_for_nan_in_grad = true});
                        fill_gradients(weights, world->rank());
                        if (world->rank() == 1) weights.flat_grad().narrow(0, weights.flat_size() - 3500, 1).fill_(NAN);
                        try {
                          ranks.reduce_gradients();
                          EXPECT_EQ(world->rank(), 0);
                        } catch (const Error& error) {
                          EXPECT_EQ(world->rank(), 1);
                          EXPECT_THAT(error.what(),
                                      testing::HasSubstr("[rank 1 of 2] gradient bucket 1 is not finite"));
                        }
                        world->agree("end", "");  // rank 0's sum needs rank 1's part
                      }),
            0);
}

}  // namespace
}  // namespace rialto::parallel
