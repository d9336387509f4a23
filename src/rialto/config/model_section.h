// The `model:` section against ModelSpec: a model spelled out for random weights, and the check of one that is loaded.
#pragma once

#include <cstdint>
#include <optional>

#include "rialto/config/run_config.h"
#include "rialto/spec/model_spec.h"

namespace rialto::config {

/// True when the section spells out a model (any size is set).
bool spells_model(const ModelSection& section);

/// The model that the section spells out, every layer equal. `tokenizer_vocab` stands in for an unset vocab_size.
/// Throws kConfig naming a size that is missing or does not fit (heads, groups, odd head size).
spec::ModelSpec model_from_section(const ModelSection& section, std::optional<int64_t> tokenizer_vocab, DType dtype);

/// Every key that the section sets must say what a loaded model has. Throws kConfig naming the key, both values.
/// seq_length is the training length, not a property of the weights, and is not compared.
void check_against_model(const ModelSection& section, const spec::ModelSpec& model);

}  // namespace rialto::config
