// --dtype fp8-block: which tensors of an exported folder become FP8 codes with a scale per 128 x 128 block.
#pragma once

#include "rialto/convert/opened.h"

namespace rialto::convert {

/// Whether what the source's files held was coded, all of it as FP8 blocks: then their choice of tensors, their scales
/// and their config stand.
bool holds_fp8_blocks(const OpenedNative& source);

/// Whether a tensor of the HF side packs the projections of several experts: no layout codes such a one.
bool holds_packed_projections(const OpenedNative& source);

/// Gives `source` a layout, recorded tensors and codes in which every projection of attention and feed-forward layers
/// is stored as DeepSeek-V3 publishes it: X as F8_E4M3 [R, C] and X_scale_inv as F32 [R / 128, C / 128] (rounded up).
/// Everything else stays a number: embedding, head, norms, biases, routers, the projection of a prediction block's
/// input. Old scales are forgotten. Throws kConfig naming a tensor that packs several experts.
/// Source: DeepSeek-V3 README_WEIGHTS.md and the index of its published files.
void code_projections(OpenedNative& source);

/// `quantization_config` for such a folder. Lists under `modules_to_not_convert` every module with a matrix that is no
/// code, or loaders would look for its scales.
Json fp8_quantization(const OpenedNative& source);

}  // namespace rialto::convert
