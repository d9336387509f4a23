// What delayed scaling remembers of one linear layer: the largest magnitudes of its operands in the last steps, and the
// scales that follow from them. Scales change at the end of a step alone, and observing is a maximum: a micro-batch may
// run forward any number of times within a step, and every time gives the same bits.
#pragma once

#include <ATen/core/Tensor.h>

#include "rialto/kernels/fp8.h"

namespace rialto::kernels {

/// The matrices of a linear layer's products. The numbers are columns of DelayedScale's state.
enum class Operand { kInput = 0, kWeight = 1, kGradient = 2 };

struct DelayedOptions {
  int64_t history_len = 1024;
  int64_t margin = 0;        ///< scales are divided by 2^margin
  bool most_recent = false;  ///< follow the last step's magnitude instead of the largest of the history
  Fp8Format gradient = Fp8Format::kE5M2;
};

class DelayedScale {
 public:
  DelayedScale(const DelayedOptions& options, at::Device device);
  /// fp32 scalar tensor: a code is value * scale. 1 until the first step ends.
  at::Tensor scale(Operand operand) const;
  /// `amax`: fp32 scalar tensor. One that is not finite leaves no trace: its step is skipped or ends the run.
  void observe(Operand operand, const at::Tensor& amax);
  /// The end of a step: what was observed becomes the history's newest row, and the scales
  /// (largest code / largest magnitude) / 2^margin; a scale whose history is all 0 stays.
  /// Source: TransformerEngine, fp8.py, _default_sf_compute.
  void advance();
  at::Tensor& observed() { return observed_; }  ///< [3], since the last step
  at::Tensor& history() { return history_; }    ///< [history_len, 3], newest first
  at::Tensor& scales() { return scales_; }      ///< [3]

 private:
  DelayedOptions options_;
  at::Tensor observed_, history_, scales_, largest_;  ///< observed_, largest_ [3]
};

}  // namespace rialto::kernels
