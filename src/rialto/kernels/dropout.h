// Dropout whose random bits are a pure function of (seed, sample, place in the model, element): neither micro-batches
// nor threads nor a second run of the same layer change them, and there is no random state to save.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "rialto/base/random.h"

namespace rialto::kernels {

/// Which elements of a batch are dropped. Element e of a sample is dropped when word e % 4 of counter e / 4 of its
/// sample's stream is below probability * 2^32.
struct Dropout {
  double probability = 0;            ///< 0: nothing is dropped
  std::vector<RandomStream> rows{};  ///< one for each sample of the batch
  /// Which tokens x has, one run after the other, counted over a batch of samples of `sample_tokens` each; none: all.
  struct Run {
    int64_t first, count;
  };
  std::vector<Run> runs{};
  int64_t sample_tokens = 0;
  bool active() const { return probability > 0; }
  uint64_t threshold() const { return static_cast<uint64_t>(std::llround(probability * 0x1p32)); }
  double scale() const { return 1 / (1 - probability); }  ///< of what stays
  /// Elements of one sample, when `x` is what is dropped from.
  int64_t sample_elements(const at::Tensor& x) const {
    return runs.empty() ? x.numel() / std::max<int64_t>(1, static_cast<int64_t>(rows.size()))
                        : sample_tokens * (x.numel() / x.size(0));
  }
};

/// Four factors from one counter: 0 for what is dropped, `scale` for what stays.
inline void dropout_factors(const RandomStream& stream, uint64_t counter, uint64_t threshold, float scale, float* out) {
  const auto words = stream.words(counter);
  for (size_t i = 0; i < 4; ++i) out[i] = words[i] < threshold ? 0.0F : scale;
}

/// x [B*S, ...] of B samples (or some of those tokens), whose elements count from 0 in each -> 0 where dropped, else x
/// / (1 - probability) rounded to x's dtype. It is its own transpose: the gradient takes the same way.
at::Tensor dropout(const at::Tensor& x, const Dropout& dropout);

namespace ref {
/// 1 where an element stays: uint8 on the host, `per_sample` elements for each sample.
at::Tensor kept(const Dropout& dropout, int64_t per_sample);
at::Tensor dropout(const at::Tensor& x, const Dropout& dropout);
}  // namespace ref
namespace cpu {
at::Tensor dropout(const at::Tensor& x, const Dropout& dropout);
}  // namespace cpu

}  // namespace rialto::kernels
