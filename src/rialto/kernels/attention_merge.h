// Attention over keys that come in parts: the softmax over those so far, joined by that over others.
#pragma once

#include "rialto/kernels/attention.h"

namespace rialto::kernels {

/// all: out [B,S,N,V] in the wide type, lse [B,N,S]; in place. part: of queries [first_query, first_query + Q), out
/// [B,Q,N,V], lse [B,N,Q]; where it is -infinity nothing changes. A sink belongs to one part.
/// Source: FlashAttention (arXiv:2205.14135), section 3.1.
void attention_merge(AttentionOutput& all, const AttentionOutput& part, int64_t first_query);

namespace ref {
void attention_merge(AttentionOutput& all, const AttentionOutput& part, int64_t first_query);
}
namespace cpu {
void attention_merge(AttentionOutput& all, const AttentionOutput& part, int64_t first_query);
}

}  // namespace rialto::kernels
