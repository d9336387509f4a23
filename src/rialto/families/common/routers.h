// Routers that several families share; what a config says of them comes on top.
#pragma once

#include "rialto/spec/model_spec.h"

namespace rialto::families {

/// DeepSeek V3's: sigmoid scores, chosen with a bias, weights divided by their sum.
inline constexpr spec::Router kSigmoidRouter = {
    .score = spec::RouterScore::kSigmoid, .selection_bias = true, .renormalize = true, .renormalize_eps = 1e-20};

}  // namespace rialto::families
