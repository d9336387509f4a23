// The Functions of attention, each recorded through Tape. Shape letters: T = B*S tokens, B rows, S queries, K keys, N
// query heads, G key/value heads, R = N/G, D head size.
#pragma once

#include <ATen/core/Tensor.h>

#include "rialto/kernels/attention.h"
#include "rialto/kernels/rope.h"
#include "rialto/model/tape.h"
#include "rialto/model/weights.h"

namespace rialto::model {

/// Megatron's grouped QKV [T, G*(R+2)*D] -> heads; queries and keys rotated when `rope` is defined.
kernels::Heads split_heads(const Recorder& recorder, const at::Tensor& qkv, int64_t groups, int64_t head_dim,
                           const kernels::RopeTable& rope);
/// Rotates [T,N,D].
at::Tensor rotate(const Recorder& recorder, const at::Tensor& x_TND, const kernels::RopeTable& rope);

/// q [B,S,N,D], k and v [B,S,G,D] -> [B*S, N*D].
at::Tensor attention(const Recorder& recorder, const at::Tensor& q_BSND, const at::Tensor& k_BKGD,
                     const at::Tensor& v_BKGD, const kernels::KeyRange& range, double scale);

}  // namespace rialto::model
