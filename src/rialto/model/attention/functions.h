// The Functions of attention, each recorded through Tape. Shape letters: T = B*S tokens, B rows, S queries, K keys, N
// query heads, G key/value heads, R = N/G, D head size.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "rialto/kernels/attention.h"
#include "rialto/kernels/rope.h"
#include "rialto/model/tape.h"
#include "rialto/model/weights.h"

namespace rialto::model {

/// Megatron's grouped QKV [T, G*(R+2)*D] -> heads; queries and keys rotated when `rope` is defined.
kernels::Heads split_heads(const Recorder& recorder, const at::Tensor& qkv, int64_t groups, int64_t head_dim,
                           const kernels::RopeTable& rope);
/// Rotates channels [first, first + 2P) of [T,N,D]; without a table x itself.
at::Tensor rotate(const Recorder& recorder, const at::Tensor& x_TND, const kernels::RopeTable& rope,
                  int64_t first_channel = 0);

/// q [B,S,N,D], k [B,K,G,D], v [B,K,G,V] -> [B*S, N*V]. `sinks`: one logit per head, or null; its gradient goes to the
/// recorder's sink of weight gradients.
struct Scores {
  double scale = 1;
  std::optional<double> softcap = {};
  const Weight* sinks = nullptr;
};
at::Tensor attention(const Recorder& recorder, const at::Tensor& q_BSND, const at::Tensor& k_BKGD,
                     const at::Tensor& v_BKGV, const kernels::KeyRange& range, const Scores& scores);

}  // namespace rialto::model
