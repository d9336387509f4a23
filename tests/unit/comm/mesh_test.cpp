// One rank: every axis has size 1, collectives are the identity, layouts of more ranks than there are are refused.
#include "rialto/comm/mesh.h"

#include <ATen/Functions.h>

#include <gtest/gtest.h>

#include "rialto/base/error.h"

namespace rialto::comm {
namespace {

TEST(Mesh, OneRank) {
  const Mesh mesh(spec::Layout{});
  for (const Axis axis : {Axis::kTp, Axis::kCp, Axis::kDp, Axis::kPp, Axis::kDpCp, Axis::kExperts, Axis::kExpertDp}) {
    EXPECT_EQ(mesh.size(axis), 1);
    EXPECT_EQ(mesh.index(axis), 0);
  }
}

TEST(Mesh, RefusesMoreRanks) {
  for (const spec::Layout layout :
       {spec::Layout{.tp = 2}, spec::Layout{.cp = 2}, spec::Layout{.dp = 2}, spec::Layout{.pp = 2}}) {
    try {
      const Mesh mesh(layout);
      FAIL() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    }
  }
}

TEST(Mesh, CollectivesOfOneAreTheIdentity) {
  const Mesh mesh;
  at::Tensor x = at::ones({3}).set_requires_grad(true);
  EXPECT_TRUE(copy_to(x, mesh, Axis::kTp).is_same(x));
  EXPECT_TRUE(reduce_from(x, mesh, Axis::kTp).is_same(x));
  at::Tensor sum = at::full({3}, 2.0);
  all_reduce_sum(sum, mesh, Axis::kDp);
  EXPECT_TRUE(at::equal(sum, at::full({3}, 2.0)));
}

}  // namespace
}  // namespace rialto::comm
