// The two directions of convert(), behind the common checks.
#pragma once

#include "rialto/convert/convert.h"

namespace rialto::convert {

/// Fills `report` as far as it got. The destination has been checked.
void import_hf(const ConvertOptions& options, FileOps& ops, Progress& progress, ConvertReport& report);
void export_hf(const ConvertOptions& options, FileOps& ops, Progress& progress, ConvertReport& report);

/// Throws kConfig unless weights can be stored in `dtype` (fp32, fp16, bf16).
void check_weight_dtype(DType dtype);

}  // namespace rialto::convert
