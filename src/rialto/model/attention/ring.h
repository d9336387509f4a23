// Attention in which keys and values go round a ring of ranks, each of which has some tokens of every sequence.
#pragma once

#include <vector>

#include "rialto/comm/group.h"
#include "rialto/model/attention/functions.h"
#include "rialto/model/pass.h"

namespace rialto::model {

/// attention() of this rank's tokens: q [B,S,N,D], k [B,S,G,D], v [B,S,G,V] -> [B*S, N*V]. In step t the rank has keys
/// and values of the one t places behind it; what its queries see of them is ring[t]. The outputs of all steps are
/// joined by their logsumexp; a sink joins in the first step. The backward pass sends keys and values round again, and
/// behind them their gradients, to which each rank adds until they are back where they came from. Every send is posted
/// a step before it is awaited, so it runs beside a computation. Collective over `ring`'s ranks, in both passes.
/// Source: Liu et al. 2023, Ring Attention (arXiv:2310.01889); the merge is that of FlashAttention (arXiv:2205.14135).
at::Tensor ring_attention(const Recorder& recorder, const at::Tensor& q_BSND, const at::Tensor& k_BSGD,
                          const at::Tensor& v_BSGV, const Ring& ring, const Scores& scores, comm::Group& ranks);

}  // namespace rialto::model
