// One optimizer update of a flat range of parameters, whatever its state is stored in.
#pragma once

#include <ATen/core/Tensor.h>

namespace rialto::kernels {

/// A range of the flat buffers as an optimizer holds it: one-dimensional tensors of one length. The main parameters are
/// `main` (fp32), or, when that is undefined, `weights` (bf16) and `remainder` together (remainder.h; then moment2 is
/// there too). `weights` that stand beside `main` are written: main rounded to their type.
struct FlatRange {
  at::Tensor grad;              ///< fp32
  at::Tensor main;              ///< fp32
  at::Tensor weights;           ///< bf16 or fp16; undefined: main are the weights
  at::Tensor remainder;         ///< int16
  at::Tensor moment1, moment2;  ///< fp32 or bf16 (then computed in fp32 and rounded); undefined: the rule has none
};

// Constants of one step: fp64, rounded to fp32 once. Every update is element by element, so a range may be cut anywhere
// and run by any number of threads: the same bits. Gradients are multiplied by grad_scale first.

struct AdamStep {
  double lr = 0, beta1 = 0, beta2 = 0, eps = 0, weight_decay = 0, grad_scale = 1;
  double bias1 = 1, bias2 = 1;  ///< 1 - beta^t
  bool decoupled = true;        ///< AdamW; false: weight_decay * main is added to the gradient
};
/// Order of operations as torch.optim.AdamW (or Adam): decay, moments, then the step.
void adam_update(const FlatRange& range, const AdamStep& step);

struct SgdStep {
  double lr = 0, momentum = 0, weight_decay = 0, grad_scale = 1;
};
/// As torch.optim.SGD without dampening; moment1 is its momentum_buffer, not used (and undefined) without momentum.
void sgd_update(const FlatRange& range, const SgdStep& step);

struct LionStep {
  double lr = 0, beta1 = 0, beta2 = 0, weight_decay = 0, grad_scale = 1;
};
/// main = main (1 - lr wd) - lr sign(beta1 m + (1 - beta1) g), then m = beta2 m + (1 - beta2) g. Source: Chen et al.
/// 2023, algorithm 2.
void lion_update(const FlatRange& range, const LionStep& step);

namespace ref {
void adam_update(const FlatRange& range, const AdamStep& step);
void sgd_update(const FlatRange& range, const SgdStep& step);
void lion_update(const FlatRange& range, const LionStep& step);
}  // namespace ref
namespace cpu {
void adam_update(const FlatRange& range, const AdamStep& step);
void sgd_update(const FlatRange& range, const SgdStep& step);
void lion_update(const FlatRange& range, const LionStep& step);
}  // namespace cpu

}  // namespace rialto::kernels
