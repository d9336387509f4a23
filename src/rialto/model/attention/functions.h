// The Functions of attention, each recorded through Tape. Shape letters: T = B*S tokens, B rows, S queries, K keys, N
// query heads, G key/value heads, R = N/G, D head size. In latent
// attention: C latent width, P unrotated and R rotated part of a key, V size of a value.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "rialto/comm/mesh.h"
#include "rialto/kernels/attention.h"
#include "rialto/kernels/rope.h"
#include "rialto/model/functions.h"
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
  int64_t first_sink = 0;  ///< of the first head, where queries have some of the heads
  kernels::Dropout dropout = {};
  kernels::WeightPlaces places = {};  ///< of the weights that may be dropped
};
/// What the kernels take, for `heads` query heads.
kernels::Scoring scoring_of(const Scores& scores, int64_t heads);
/// Where the gradient of those heads' sinks is added up; undefined without sinks.
at::Tensor sink_gradient(const Scores& scores, int64_t heads);
/// Queries, keys, values, output, logsumexp: in this order.
void keep_attention(Tape& tape, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                    const kernels::AttentionOutput& out);
/// Runs what computes attention of {q, k, v} as the module core_attn.
using Core = std::function<at::Tensor(const Recorder& recorder, const std::vector<at::Tensor>& qkv)>;
at::Tensor as_core(const Recorder& recorder, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                   const Core& core);
/// The module core_attn: the plan may compute it again, or keep its tensors on the host.
at::Tensor attention(const Recorder& recorder, const at::Tensor& q_BSND, const at::Tensor& k_BKGD,
                     const at::Tensor& v_BKGV, const kernels::KeyRange& range, const Scores& scores);

/// RMSNorm of x [T, N*D] over all heads together, of which this rank has its share: the sum of squares is added up over
/// tensor-parallel ranks. Collective over tp, forward and backward. Source: Megatron Bridge minimax_m2_provider.py.
at::Tensor full_width_norm(const Recorder& recorder, const at::Tensor& x, const Norm& norm, const comm::Mesh& mesh);
/// The same, whatever the number of ranks; with one, full_width_norm takes the fused kernel instead.
at::Tensor sharded_norm(const Recorder& recorder, const at::Tensor& x, const Norm& norm, const comm::Mesh& mesh);

/// x [T,O] + bias.
at::Tensor add_bias(const Recorder& recorder, const at::Tensor& x_TO, const Weight& bias);
/// The product of which each rank has a share of the inputs, out of tp; the bias is added once, after the sum.
at::Tensor row_parallel(const Recorder& recorder, const at::Tensor& x_TI, const Linear& layer, const comm::Mesh& mesh);

/// Latent attention's down projection [T, C+R] -> latent [T,C] and the key part to be rotated [T,1,R].
struct LatentParts {
  at::Tensor latent_TC, key_T1R;
};
LatentParts split_latent(const Recorder& recorder, const at::Tensor& x, int64_t latent_dim);

/// Its up projection [T,N,P+V] and the rotated key [T,1,R], which all heads share -> keys [T,N,P+R], values [T,N,V].
struct ExpandedKeys {
  at::Tensor k_TND, v_TNV;
};
ExpandedKeys expand_keys(const Recorder& recorder, const at::Tensor& up_TNE, const at::Tensor& key_T1R,
                         int64_t plain_dim);

}  // namespace rialto::model
