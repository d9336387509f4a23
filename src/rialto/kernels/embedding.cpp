// Embedding look-up through ATen; its gradient with a fixed order of additions.
#include "rialto/kernels/embedding.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>

#include "rialto/base/error.h"
#include "rialto/kernels/dispatch.h"

namespace rialto::kernels {
namespace {

void check_tokens(const at::Tensor& tokens, int64_t vocab) {
  const int64_t* token = tokens.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < tokens.numel(); ++i) {
    if (token[i] < 0 || token[i] >= vocab) {
      throw Error(ErrorKind::kInput, "embedding", "a token is outside the vocabulary",
                  {.got = std::to_string(token[i]),
                   .want = "0 to " + std::to_string(vocab - 1),
                   .hint = "were the data made with another tokenizer?"});
    }
  }
}

}  // namespace

at::Tensor embedding_forward(const at::Tensor& tokens, const at::Tensor& table) {
  const at::Tensor ids = tokens.contiguous();
  if (ids.is_cpu()) check_tokens(ids, table.size(0));
  return at::index_select(table, 0, ids);
}

void embedding_grad(at::Tensor sum, const at::Tensor& tokens, const at::Tensor& dy) {
  if (!sum.is_cpu() || sum.scalar_type() != at::kFloat) {
    // Sorted segments: index_put_ with accumulate is deterministic on a GPU, index_add_ is not.
    sum.index_put_({tokens}, dy.to(sum.scalar_type()), /*accumulate=*/true);
    return;
  }
  const at::Tensor ids = tokens.contiguous(), rows = dy.to(at::kFloat).contiguous();
  const int64_t* id = ids.const_data_ptr<int64_t>();
  const float* from = rows.const_data_ptr<float>();
  float* to = sum.data_ptr<float>();
  const int64_t width = sum.size(1), count = ids.numel();
  // Each thread owns a range of table rows and walks all tokens: the order within a row never changes.
  at::parallel_for(0, sum.size(0), 1, [&](int64_t first, int64_t last) {
    for (int64_t t = 0; t < count; ++t) {
      if (id[t] < first || id[t] >= last) continue;
      float* out = to + id[t] * width;
      const float* in = from + t * width;
      for (int64_t h = 0; h < width; ++h) out[h] += in[h];
    }
  });
}

}  // namespace rialto::kernels
