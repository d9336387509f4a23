// common.pt: what Megatron's readers want to know apart from tensors.
#pragma once

#include <span>
#include <string_view>

#include "rialto/formats/pickle.h"
#include "rialto/spec/model_spec.h"

namespace rialto::store {

/// checkpoint_version, iteration, content_metadata and the `args` namespace that Megatron-LM looks for. Add
/// `opt_param_scheduler` and `optimizer` entries to `dict` for a training checkpoint.
/// `has_optimizer` false tells Megatron-LM not to look for optimizer state.
formats::PickleValue make_common(const spec::ModelSpec& model, int64_t iteration, bool has_optimizer = true);

/// Every global that a common.pt may ask for (Megatron-Core's safe list, as far as checkpoints use it).
std::span<const std::string_view> common_globals();

}  // namespace rialto::store
