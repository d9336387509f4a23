// Attention over ranks that share every sequence: each has queries, keys and values of its own tokens.
#pragma once

#include "rialto/model/attention/functions.h"
#include "rialto/model/pass.h"
#include "rialto/spec/layout.h"

namespace rialto::model {

/// The core of attention: q [B,S,N,D], k [B,S,G,D], v [B,S,G,V] of this rank's S tokens of each row -> [B*S, N*V], in
/// one of the ways that context-parallel ranks have; with one rank attention() itself. Collective over cp, in both
/// passes.
at::Tensor context_attention(const Recorder& recorder, const at::Tensor& q_BSND, const at::Tensor& k_BSGD,
                             const at::Tensor& v_BSGV, Pass& pass, std::optional<int64_t> window, const Scores& scores,
                             const comm::Mesh& mesh, spec::ContextWay way);

/// Heads change places with tokens: [B,S,N,D] of this rank's tokens -> [B,S*R,N/R,D], this rank's share of the heads of
/// all R ranks' tokens, in the order of the sequence. All tensors travel in one message. Collective over `axis`; the
/// gradients take the way back.
std::vector<at::Tensor> to_heads(const Recorder& recorder, const std::vector<at::Tensor>& x, const comm::Mesh& mesh,
                                 comm::Axis axis);
/// The way back: [B,S*R,N/R,D] -> [B,S,N,D].
at::Tensor to_tokens(const Recorder& recorder, const at::Tensor& x, const comm::Mesh& mesh, comm::Axis axis);

/// Keys or values [B,S/R,G,D] of every context-parallel rank -> [B,S,G,D] in the order of the sequence; the gradient
/// is the sum of what all ranks' queries give. Collective over cp, forward and backward.
at::Tensor whole_sequence(const at::Tensor& x_BKGD, const comm::Mesh& mesh);

}  // namespace rialto::model
