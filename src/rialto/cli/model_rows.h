// One family in detail: its rows, and where the tensors of one layer go.
#pragma once

#include <optional>
#include <string>

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"

namespace rialto::cli {

/// {"name", "title", "architectures", "config": [{key, meaning}], "rows": [{hf, native, how}], "layer": {"of",
/// "number", "pieces": [...]}}. `name`: a family or an architecture. The layer is one of the model in `from`'s
/// config.json, else of an example whose required sizes are small; `number`: the last when none is given. Throws kUsage
/// for a name that nothing has, kInput for a config of another family.
Json model_rows(const std::string& name, const std::optional<fs::path>& from, std::optional<int64_t> number);
std::string model_rows_text(const Json& rows);

}  // namespace rialto::cli
