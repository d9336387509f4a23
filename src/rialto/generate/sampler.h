// From logits to the next token: greedy or sampled, on the CPU, a pure function of logits, history, seed and step.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "rialto/generate/generate.h"

namespace rialto::generate {

/// Order of operations as transformers: repetition penalty, temperature, top-k, top-p, softmax, draw. `logits` is
/// changed. Ties go to the lowest id. `step` counts drawn tokens and chooses the random number. Throws kInternal when
/// no logit is finite.
int64_t pick_token(std::span<float> logits, std::span<const int64_t> history, const Sampling& sampling, uint64_t step);

}  // namespace rialto::generate
