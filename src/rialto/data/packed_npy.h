// Bridge's older files of packed rows: a NumPy array of dicts. Inside data only.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "rialto/base/file_ops.h"
#include "rialto/data/packed_row.h"

namespace rialto::data {

/// Throws kInput with `where` unless the three lists are a packed row.
PackedRow checked_packed_row(const std::string& where, std::span<const int64_t> ids, std::span<const int64_t> mask,
                             std::span<const int64_t> starts);

/// See read_packed_file.
void read_packed_npy(const fs::path& path, const std::function<void(PackedRow)>& take);

}  // namespace rialto::data
