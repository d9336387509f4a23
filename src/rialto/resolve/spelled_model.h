// The `model:` section of a training YAML: a model spelled out for random weights, and the check of one that is loaded.
#pragma once

#include <cstdint>
#include <optional>

#include "rialto/config/run_config.h"
#include "rialto/spec/model_spec.h"

namespace rialto::resolve {

/// The model that the section spells out, in Megatron's keys; what it leaves open is as the family has it.
/// `tokenizer_vocab` stands in for an unset vocab_size. Throws kConfig naming a key that is missing, does not fit, or
/// says nothing of this model.
spec::ModelSpec model_from_section(const config::ModelSection& section, std::optional<int64_t> tokenizer_vocab,
                                   DType dtype);

/// Every key that the section sets must say what a loaded model has. Throws kConfig naming the key, both values.
/// seq_length is the training length and init_method_std the spread of random weights: neither is compared.
void check_against_model(const config::ModelSection& section, const spec::ModelSpec& model);

}  // namespace rialto::resolve
