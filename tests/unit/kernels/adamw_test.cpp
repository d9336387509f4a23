// The fused AdamW pass against the formula in plain operations.
#include "rialto/kernels/adamw.h"

#include <ATen/Parallel.h>

#include "compare.h"

namespace rialto::kernels {
namespace {

TEST(AdamW, EqualsReference) {
  at::manual_seed(11);
  for (const int64_t size : {64, 5000, 13}) {
    const at::Tensor main = random({size}), m = random({size}), v = random({size}).square(), g = random({size});
    at::Tensor a[4] = {main.clone(), m.clone(), v.clone(), at::zeros({size}, at::kBFloat16)};
    at::Tensor b[4] = {main.clone(), m.clone(), v.clone(), at::zeros({size}, at::kBFloat16)};
    const AdamWStep step{.lr = 1e-2,
                         .beta1 = 0.9,
                         .beta2 = 0.95,
                         .eps = 1e-8,
                         .weight_decay = 0.1,
                         .grad_scale = 0.5,
                         .bias1 = 1 - 0.9 * 0.9,
                         .bias2 = 1 - 0.95 * 0.95};
    cpu::adamw_update(a[0], a[1], a[2], g, a[3], step);
    ref::adamw_update(b[0], b[1], b[2], g, b[3], step);
    for (int i = 0; i < 3; ++i) expect_close(a[i], b[i], 1e-6);
    EXPECT_TRUE(at::equal(a[3], a[0].to(at::kBFloat16)));
  }
}

TEST(AdamW, DoesNotDependOnThreads) {
  const at::Tensor start = random({100000}), g = random({100000});
  at::Tensor results[2];
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    at::Tensor main = start.clone(), m = at::zeros({100000}), v = at::zeros({100000});
    for (int i = 1; i < 4; ++i) {
      adamw_update(main, m, v, g * i, {},
                   {.lr = 1e-3,
                    .beta1 = 0.9,
                    .beta2 = 0.99,
                    .eps = 1e-8,
                    .weight_decay = 0.1,
                    .grad_scale = 1,
                    .bias1 = 0.1 * i,
                    .bias2 = 0.01 * i});
    }
    results[threads - 1] = main;
  }
  EXPECT_TRUE(at::equal(results[0], results[1]));
}

}  // namespace
}  // namespace rialto::kernels
