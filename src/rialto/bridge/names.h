// Tensor name patterns: `{l}`, `{e}`, `{m}` and `{L+m}` stand for numbers, `{a,b}` for several names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rialto::bridge {

/// The numbers that a pattern's wildcards stand for; -1 where the pattern has none.
struct Indices {
  int64_t layer = -1, expert = -1, depth = -1;
  int64_t num_layers = 0;  ///< what `{L+m}` adds to the depth
};

/// Takes a plain decimal (no sign, no leading zero, at most nine digits) off the front of `text`; nothing, and `text`
/// as it was, where there is none.
std::optional<int64_t> take_number(std::string_view& text);

/// Matches `text` against a pattern without lists. Numbers are plain decimals: no sign, no leading zero. `{L+m}` takes
/// any number and yields no depth.
std::optional<Indices> match_pattern(std::string_view pattern, std::string_view text);

/// The names of a pattern, in the order of its list.
std::vector<std::string> expand_pattern(std::string_view pattern, const Indices& indices);

}  // namespace rialto::bridge
