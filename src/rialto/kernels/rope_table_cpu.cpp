// Cosines and sines of every token's angles on the CPU.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cmath>

#include "rialto/kernels/rope.h"

namespace rialto::kernels {

RopeTable cpu::make_rope_table(const at::Tensor& positions_T, const at::Tensor& frequencies_P, double factor,
                               bool adjacent) {
  const at::Tensor at_T = positions_T.contiguous(), turn_P = frequencies_P.to(at::kFloat).contiguous();
  const int64_t tokens = at_T.size(0), pairs = turn_P.size(0);
  RopeTable table{at::empty({tokens, pairs}, turn_P.options()), at::empty({tokens, pairs}, turn_P.options()), adjacent};
  const int64_t* position = at_T.const_data_ptr<int64_t>();
  const float* frequency = turn_P.const_data_ptr<float>();
  float *cosine = table.cos_TP.data_ptr<float>(), *sine = table.sin_TP.data_ptr<float>();
  const auto scale = static_cast<float>(factor);
  at::parallel_for(0, tokens, 64, [&](int64_t first, int64_t last) {
    for (int64_t t = first; t < last; ++t) {
      for (int64_t p = 0; p < pairs; ++p) {
        const float angle = static_cast<float>(position[t]) * frequency[p];
        cosine[t * pairs + p] = std::cos(angle) * scale;
        sine[t * pairs + p] = std::sin(angle) * scale;
      }
    }
  });
  return table;
}

}  // namespace rialto::kernels
