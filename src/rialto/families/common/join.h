// Tables made of tables, at compile time.
#pragma once

#include <array>
#include <cstddef>

namespace rialto::families {

/// The rows of all tables in one array, in order.
template <class Row, size_t... N>
consteval std::array<Row, (N + ...)> join(const Row (&... tables)[N]) {
  std::array<Row, (N + ...)> rows{};
  size_t at = 0;
  const auto append = [&](const auto& table) {
    for (const Row& row : table) rows[at++] = row;
  };
  (append(tables), ...);
  return rows;
}

}  // namespace rialto::families
