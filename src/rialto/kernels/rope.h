// Splits Megatron's grouped QKV rows into heads, rotating queries and keys on the way.
// Shape letters: T tokens, G groups, R queries per group, N = G*R heads, D head size, P = rotated channels / 2.
#pragma once

#include <ATen/core/Tensor.h>

namespace rialto::kernels {

/// cos and sin of each token's angles, fp32 [T,P]; both undefined: no rotation. Channels from 2P on stay as they are.
struct RopeTable {
  at::Tensor cos_TP = {}, sin_TP = {};
  bool adjacent = false;  ///< channel 2i turns with 2i + 1; else i with i + P
  bool defined() const { return cos_TP.defined(); }
};

/// Angles are position * frequency; cos and sin are multiplied by `factor`. positions int64 [T], frequencies fp32 [P],
/// one device.
RopeTable make_rope_table(const at::Tensor& positions_T, const at::Tensor& frequencies_P, double factor, bool adjacent);

struct Heads {
  at::Tensor q_TND, k_TGD, v_TGD;
};

/// qkv [T, G*(R+2)*D] -> heads, in `out` dtype.
Heads split_heads(const at::Tensor& qkv, int64_t groups, int64_t head_dim, const RopeTable& rope, at::ScalarType out);
/// The transpose: gradients of heads -> gradient of qkv in `out` dtype, the rotation undone.
at::Tensor merge_heads(const Heads& grads, const RopeTable& rope, at::ScalarType out);

/// Rotates channels [first, first + 2P) of each head of x [T,N,D]; `inverse` rotates back (the gradient). Same dtype.
at::Tensor rotate(const at::Tensor& x, const RopeTable& rope, bool inverse, int64_t first_channel = 0);

namespace ref {
RopeTable make_rope_table(const at::Tensor& positions_T, const at::Tensor& frequencies_P, double factor, bool adjacent);
Heads split_heads(const at::Tensor& qkv, int64_t groups, int64_t head_dim, const RopeTable& rope, at::ScalarType out);
at::Tensor merge_heads(const Heads& grads, const RopeTable& rope, at::ScalarType out);
at::Tensor rotate(const at::Tensor& x, const RopeTable& rope, bool inverse, int64_t first_channel = 0);
}  // namespace ref
namespace cpu {
RopeTable make_rope_table(const at::Tensor& positions_T, const at::Tensor& frequencies_P, double factor, bool adjacent);
Heads split_heads(const at::Tensor& qkv, int64_t groups, int64_t head_dim, const RopeTable& rope, at::ScalarType out);
at::Tensor merge_heads(const Heads& grads, const RopeTable& rope, at::ScalarType out);
at::Tensor rotate(const at::Tensor& x, const RopeTable& rope, bool inverse, int64_t first_channel = 0);
}  // namespace cpu

}  // namespace rialto::kernels
