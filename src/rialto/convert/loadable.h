// Whether a model could be loaded, found out without torch and without reading a tensor.
#pragma once

#include <string>

#include "rialto/base/file_ops.h"
#include "rialto/spec/model_spec.h"

namespace rialto::convert {

/// The model that a Hugging Face folder or a native checkpoint holds, after its tensors were matched with it and proven
/// complete. Throws kInput and kShape as loading it would.
spec::ModelSpec loadable_model(const fs::path& path);

/// Logits can be compared only over one vocabulary. `a`, `b`: what the user calls them. Throws kConfig naming both
/// sizes.
void check_same_vocabulary(const std::string& a, const spec::ModelSpec& model_a, const std::string& b,
                           const spec::ModelSpec& model_b);

}  // namespace rialto::convert
