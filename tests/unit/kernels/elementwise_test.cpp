// Cross entropy and embedding: fast bodies against plain references, and labels and tokens that name
// nothing.
#include <ATen/Parallel.h>

#include "compare.h"
#include "rialto/base/error.h"
#include "rialto/kernels/cross_entropy.h"
#include "rialto/kernels/embedding.h"
#include "rialto/kernels/soft_cap.h"

namespace rialto::kernels {
namespace {

TEST(CrossEntropy, EqualsReference) {
  at::manual_seed(5);
  for (const int64_t vocab : {3, 16, 517}) {
    const at::Tensor logits = random({23, vocab}) * 5, labels = at::randint(vocab, {23}, at::kLong);
    at::Tensor weights = at::rand({23});
    weights[4] = 0;
    labels[4] = int64_t{1} << 40;  // costs nothing, so may be anything; far from memory of ours
    at::Tensor fast = logits.clone(), plain = logits.clone();
    const at::Tensor a = cpu::cross_entropy_rows(fast, labels, weights, true);
    const at::Tensor b = ref::cross_entropy_rows(plain, labels, weights, true);
    expect_close(a, b, 2e-6, "loss");
    expect_close(fast, plain, 2e-6, "gradient");
    EXPECT_EQ(a[4].item<float>(), 0);
    EXPECT_EQ(fast[4].abs().max().item<float>(), 0);
    at::Tensor kept = logits.clone();
    expect_close(cross_entropy_rows(kept, labels, weights, false), b, 2e-6, "loss alone");
    EXPECT_TRUE(at::equal(kept, logits));
  }
}

TEST(CrossEntropy, RefusesLabelsOutsideTheVocabulary) {
  at::Tensor logits = random({2, 4});
  for (const int64_t bad : {-1, 4}) {
    EXPECT_THROW(cross_entropy_rows(logits, at::tensor({int64_t{0}, bad}), at::ones({2}), true), Error);
  }
}

TEST(SoftCap, EqualsReference) {
  at::manual_seed(6);
  for (const int64_t width : {1, 8, 53}) {
    const at::Tensor logits = random({7, width}) * 20;
    at::Tensor fast = logits.clone(), plain = logits.clone(), alone = logits.clone();
    const at::Tensor slope = cpu::soft_cap(fast, 30, true);
    expect_close(slope, ref::soft_cap(plain, 30, true), 1e-6, "slope");
    expect_close(fast, plain, 1e-6, "value");
    EXPECT_FALSE(soft_cap(alone, 30, false).defined());
    EXPECT_TRUE(at::equal(alone, fast));
  }
}

TEST(Embedding, SumsInTokenOrder) {
  at::manual_seed(6);
  const at::Tensor table = random({11, 5}), tokens = at::randint(11, {300}, at::kLong), dy = random({300, 5});
  EXPECT_TRUE(at::equal(embedding_forward(tokens, table), table.index({tokens})));
  at::Tensor plain = at::ones({11, 5});
  for (int64_t t = 0; t < 300; ++t) plain[tokens[t].item<int64_t>()] += dy[t];
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    at::Tensor sum = at::ones({11, 5});
    embedding_grad(sum, tokens, dy);
    EXPECT_TRUE(at::equal(sum, plain));
  }
}

TEST(Embedding, RefusesTokensOutsideTheVocabulary) {
  for (const int64_t bad : {-1, 11}) EXPECT_THROW(embedding_forward(at::tensor({bad}), random({11, 5})), Error);
}

}  // namespace
}  // namespace rialto::kernels
