// fp32 numbers as their bf16 rounding and 16 bits more, without loss.
#pragma once

#include <ATen/core/Tensor.h>

namespace rialto::kernels {

/// A main parameter is 65536 * its weight's bits + remainder, as integers, where the weight is the main parameter
/// rounded to bf16, ties to even. That takes remainders from -32768 to 32768, one more than 16 bits hold: both ties
/// beside an even weight. So 32768 is stored as -32768, and the sign of `carrier`, a number that is never negative (the
/// second moment, fp32 or bf16), is set. All tensors flat, of one length; weights bf16, remainder int16.
at::Tensor join_remainder(const at::Tensor& weights, const at::Tensor& remainder, const at::Tensor& carrier);

/// The inverse: writes all three; of the carrier the sign alone. `main` is fp32.
void split_remainder(const at::Tensor& main, at::Tensor weights, at::Tensor remainder, at::Tensor carrier);

}  // namespace rialto::kernels
