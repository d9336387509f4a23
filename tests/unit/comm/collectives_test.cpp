// Collectives between real processes: values, transposes, agreement, and what is said when a rank is lost.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "rialto/comm/mesh.h"
#include "tests/unit/comm/run_ranks.h"

namespace rialto::comm {
namespace {

constexpr auto kDp = Axis::kDp;

Mesh mesh_of(const std::shared_ptr<World>& world) { return Mesh(spec::Layout{.dp = world->size()}, world); }

/// What rank `rank` brings: different numbers everywhere, none of them a sum that rounding would hide.
at::Tensor brought(int rank, int64_t count) { return at::arange(count, at::kFloat) * 0.37 + rank * 1.13; }

TEST(Collectives, ValuesAndTransposes) {
  EXPECT_EQ(run_ranks(4,
                      [](const std::shared_ptr<World>& world) {
                        const Mesh mesh = mesh_of(world);
                        const int rank = world->rank();
                        EXPECT_EQ(mesh.size(kDp), 4);
                        EXPECT_EQ(mesh.index(kDp), rank);
                        at::Tensor sum = at::zeros({8});
                        for (int r = 0; r < 4; ++r) sum += brought(r, 8);
                        const at::Tensor weight = at::arange(1, 9, at::kFloat);

                        at::Tensor x = brought(rank, 8).set_requires_grad(true);
                        const at::Tensor reduced = reduce_from(x, mesh, kDp);
                        EXPECT_TRUE(at::allclose(reduced, sum));
                        reduced.backward(weight * (rank + 1));
                        EXPECT_TRUE(at::equal(x.grad(), weight * (rank + 1)));

                        x = brought(rank, 8).set_requires_grad(true);
                        const at::Tensor copied = copy_to(x, mesh, kDp);
                        EXPECT_TRUE(at::equal(copied, x));
                        copied.backward(weight * (rank + 1));
                        EXPECT_TRUE(at::equal(x.grad(), weight * 10));

                        x = brought(rank, 2).set_requires_grad(true);
                        const at::Tensor whole = gather_from(x, mesh, kDp);
                        for (int r = 0; r < 4; ++r) EXPECT_TRUE(at::equal(whole.narrow(0, 2 * r, 2), brought(r, 2)));
                        whole.backward(weight * (rank + 1));
                        EXPECT_TRUE(at::equal(x.grad(), weight.narrow(0, 2 * rank, 2) * 10));

                        x = brought(rank, 8).set_requires_grad(true);
                        const at::Tensor part = reduce_scatter_to(x, mesh, kDp);
                        EXPECT_TRUE(at::allclose(part, sum.narrow(0, 2 * rank, 2)));
                        part.backward(brought(rank, 2));
                        for (int r = 0; r < 4; ++r) EXPECT_TRUE(at::equal(x.grad().narrow(0, 2 * r, 2), brought(r, 2)));

                        EXPECT_TRUE(any(rank == 2, mesh));
                        EXPECT_FALSE(any(false, mesh));
                        at::Tensor told = at::full({3}, rank + 5.0);
                        mesh.group(kDp).broadcast(told, 2, "a test")->wait();
                        EXPECT_TRUE(at::equal(told, at::full({3}, 7.0)));
                        at::Tensor most = at::full({1}, rank == 1 ? 9.0 : rank);
                        mesh.group(kDp).all_reduce(most, Reduce::kMax, "a test")->wait();
                        EXPECT_EQ(most.item<double>(), 9.0);
                      }),
            0);
}

TEST(Collectives, PartsForEachRankAndRings) {
  EXPECT_EQ(run_ranks(4,
                      [](const std::shared_ptr<World>& world) {
                        const Mesh mesh(spec::Layout{.cp = 4, .cp_inner = 2}, world);
                        const int rank = world->rank();
                        const at::Tensor parts = brought(rank, 12).view({4, 3});
                        const at::Tensor got = all_to_all(parts, mesh, Axis::kCp);
                        for (int r = 0; r < 4; ++r) EXPECT_TRUE(at::equal(got[r], brought(r, 12).view({4, 3})[rank]));
                        EXPECT_TRUE(at::equal(all_to_all(got, mesh, Axis::kCp), parts)) << "the way back";

                        Group& ring = mesh.group(Axis::kCp);
                        at::Tensor held = brought(rank, 70000);
                        for (int step = 1; step <= 4; ++step) {  // larger than what a socket takes at once
                          const at::Tensor next = at::empty_like(held);
                          ring.exchange(held, (rank + 1) % 4, next, (rank + 3) % 4, 0, "a test")->wait();
                          held = next;
                          EXPECT_TRUE(at::equal(held, brought((rank + 4 - step) % 4, 70000))) << step;
                        }

                        EXPECT_EQ(mesh.size(Axis::kCpInner), 2);
                        EXPECT_EQ(mesh.index(Axis::kCpInner), rank % 2);
                        EXPECT_EQ(mesh.index(Axis::kCpOuter), rank / 2);
                        const at::Tensor own = at::full({1}, static_cast<double>(rank));
                        EXPECT_TRUE(at::equal(all_gather(own, mesh, Axis::kCpInner),
                                              at::tensor({rank / 2 * 2.0, rank / 2 * 2 + 1.0}, at::kFloat)));
                        EXPECT_TRUE(at::equal(all_gather(own, mesh, Axis::kCpOuter),
                                              at::tensor({rank % 2 + 0.0, rank % 2 + 2.0}, at::kFloat)));
                        const auto volumes = world->volumes();
                        EXPECT_EQ(volumes.at("cp all_to_all").bytes, 2 * 12 * 4);
                        EXPECT_EQ(volumes.at("cp send").bytes, 4 * 70000 * 4);
                        EXPECT_EQ(volumes.at("cp receive").calls, 4);
                        EXPECT_EQ(volumes.at("cp-inner all_gather").calls, 1);
                      }),
            0);
}

/// The optimizer may be sharded or not: reducing has to give the same bits, in place too, for any bucket.
TEST(Collectives, ScatteredSumsAreTheBitsOfSums) {
  EXPECT_EQ(run_ranks(3,
                      [](const std::shared_ptr<World>& world) {
                        const Mesh mesh = mesh_of(world);
                        Group& group = mesh.group(kDp);
                        for (const int64_t share : {128, 1280, 70016}) {
                          for (const Reduce op : {Reduce::kSum, Reduce::kAverage}) {
                            const at::Tensor x =
                                at::frac(brought(world->rank(), 3 * share) * 1e3 * (world->rank() + 0.7));
                            const at::Tensor sum = x.clone(), whole = x.clone();
                            group.all_reduce(sum, op, "a test")->wait();
                            const at::Tensor part = whole.narrow(0, share * world->rank(), share);
                            group.reduce_scatter(part, whole, op, "a test")->wait();
                            EXPECT_TRUE(at::equal(part, sum.narrow(0, share * world->rank(), share))) << share;
                            group.all_gather(whole, part, "a test")->wait();
                            EXPECT_TRUE(at::equal(whole, sum)) << share;
                          }
                        }
                      }),
            0);
}

TEST(Collectives, RanksThatDifferAreNamed) {
  EXPECT_EQ(run_ranks(3,
                      [](const std::shared_ptr<World>& world) {
                        world->agree("colour", "blue");
                        try {
                          world->agree("shape", world->rank() == 1 ? "square" : "round");
                          ADD_FAILURE() << "agreed";
                        } catch (const Error& error) {
                          EXPECT_EQ(error.kind(), ErrorKind::kConfig);
                          EXPECT_STREQ(error.what(),
                                       "[rank 1] its shape is not that of rank 0; got square, want round");
                        }
                      }),
            0);
}

TEST(Collectives, ALostRankIsNamedByTheOthers) {
  EXPECT_EQ(run_ranks(2,
                      [](const std::shared_ptr<World>& world) {
                        const Mesh mesh = mesh_of(world);
                        if (world->rank() == 1) _exit(0);
                        try {
                          barrier(mesh, "the end of a test");
                          ADD_FAILURE() << "went on alone";
                        } catch (const Error& error) {
                          EXPECT_EQ(error.kind(), ErrorKind::kComm);
                          EXPECT_THAT(error.what(), testing::HasSubstr("rank 0 of 2 on "));
                          EXPECT_THAT(error.what(), testing::HasSubstr("the end of a test over dp failed"));
                        }
                      }),
            0);
}

}  // namespace
}  // namespace rialto::comm
