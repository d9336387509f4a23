// Joining softmaxes on the CPU: one pass over the outputs, two exponentials for each query and head.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "rialto/kernels/attention_blocks.h"
#include "rialto/kernels/attention_merge.h"

namespace rialto::kernels {
namespace {

using namespace attention_blocks;

template <class T>
void merge(AttentionOutput& all, const AttentionOutput& part, int64_t first_query) {
  const int64_t rows = part.out_BSNV.size(0), queries = part.out_BSNV.size(1), heads = part.out_BSNV.size(2);
  const int64_t dim = part.out_BSNV.size(3), all_queries = all.out_BSNV.size(1);
  float *out = all.out_BSNV.data_ptr<float>(), *lse = all.lse_BNS.data_ptr<float>();
  const T* other = part.out_BSNV.const_data_ptr<T>();
  const float* other_lse = part.lse_BNS.const_data_ptr<float>();
  at::parallel_for(0, rows * queries, 64, [&](int64_t from, int64_t to) {
    for (int64_t at = from; at < to; ++at) {
      const int64_t b = at / queries, i = at % queries;
      for (int64_t n = 0; n < heads; ++n) {
        const float theirs = other_lse[(b * heads + n) * queries + i];
        if (theirs == -std::numeric_limits<float>::infinity()) continue;
        float& ours = lse[(b * heads + n) * all_queries + first_query + i];
        const float top = std::max(ours, theirs), keep = std::exp(ours - top), add = std::exp(theirs - top);
        const float sum = keep + add;
        float* y = out + ((b * all_queries + first_query + i) * heads + n) * dim;
        const T* x = other + (at * heads + n) * dim;
        for (int64_t d = 0; d < dim; ++d) y[d] = (y[d] * keep + static_cast<float>(x[d]) * add) / sum;
        ours = top + std::log(sum);
      }
    }
  });
}

}  // namespace

void cpu::attention_merge(AttentionOutput& all, const AttentionOutput& part, int64_t first_query) {
  with_type(part.out_BSNV.scalar_type(), [&]<class T>(T) { merge<T>(all, part, first_query); });
}

}  // namespace rialto::kernels
