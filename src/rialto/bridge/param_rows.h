// Tensor rows: which HF tensors make which native parameter, and the compile-time checks on them.
//
//   op               HF tensors                        against a native parameter of view V (expert e of E)
//   ---------------  --------------------------------  ----------------------------------------------------------------
//   kSame            one                               V, equal shape (an HF tensor that fuses gate and up too)
//   kQkv             {q,k,v}                           [G, H/G + 2, d, ..]: per group its query heads, then k, then v
//   kFusedQkv        one: all q heads, all k, all v    the same (Phi-3 qkv_proj, Ling query_key_value); weight or bias
//   kGateUp          {gate,up}                         [2, f, ..]: gate rows, then up rows
//   kSwapHalves      one [n, 2h]: halves swapped       [n, 2, h] (MiMo input_proj: hidden before embedding)
//   kRowVector       one [1, n]                        [n] (ERNIE moe_statics)
//   kPacked          one [E, shape]                    every expert's V: [E, 2f, h], [E, h, f], biases [E, 2f], [E, h]
//   kPackedGateUp    {gate,up}, each [E, f, h]         every expert's [2, f, h]
//   kPackedReversed  one, axes of V in reverse         GPT-OSS: [E, h, 2f] with gate and up alternating, [E, f, h];
//                                                      biases [E, 2f] alternating, [E, h]
//   kPackedAlternating  one [E, 2f, h]                 every expert's [2, f, h]; rows of gate and up alternate (MXFP4)
//   kRepeat          one, may be absent                repeats a whole native tensor: a tied head, copies of embedding
//                                                      and head in blocks of multi-token prediction
//   kLayerPrefix     (no tensor)                       "model.layers.{L+m}." <-> "mtp.layers.{m}.transformer_layer.":
//                                                      what rows say of decoder.layers.{l}. holds there too, with this
//                                                      HF prefix in place of all up to "{l}."
//
// A row applies to every parameter that its native pattern names and that the model has: rows for parts that are absent
// do nothing, and two rows may name one HF tensor where no layer has both parameters (a norm before dense or MoE).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace rialto::bridge {

enum class Op : uint8_t {
  kSame,
  kQkv,
  kFusedQkv,
  kGateUp,
  kSwapHalves,
  kRowVector,
  kPacked,
  kPackedGateUp,
  kPackedReversed,
  kPackedAlternating,
  kRepeat,
  kLayerPrefix
};

enum class When : uint8_t {
  kAlways,
  kUntied,
  kTied,
  kWritten,     ///< of Op::kRepeat: published files carry the copy, so an export writes it where no file says otherwise
  kAlternative  ///< another layout of a parameter that an earlier row names, taken when the source has its tensors
};

/// Patterns: `{l}` is the layer, `{e}` the expert, `{m}` the depth of multi-token prediction, `{L+m}` that depth
/// counted on after the last layer; `{q,k,v}` names several HF tensors in the op's order.
struct ParamRow {
  std::string_view hf;
  std::string_view native;
  Op op = Op::kSame;
  When when = When::kAlways;
};

/// HF tensors that carry nothing (recomputed from the config); `hf` is a pattern as above.
struct IgnoredRow {
  std::string_view hf;
  std::string_view reason;
};

/// What the groups in braces of a pattern are.
struct PatternGroups {
  size_t layers = 0, experts = 0, depths = 0;
  size_t lists = 0, names = 1;  ///< comma lists, and how many tensors they name
  bool valid = true;            ///< braces pair up and hold a known wildcard or a list without empty names
};
constexpr PatternGroups groups_of(std::string_view pattern) {
  PatternGroups groups;
  for (size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] == '}') groups.valid = false;
    if (pattern[at] != '{') continue;
    const size_t end = pattern.find_first_of("{}", at + 1);
    if (end == std::string_view::npos || pattern[end] != '}') return {.valid = false};
    const std::string_view text = pattern.substr(at + 1, end - at - 1);
    if (text == "l") {
      ++groups.layers;
    } else if (text == "e") {
      ++groups.experts;
    } else if (text == "m" || text == "L+m") {
      ++groups.depths;
    } else {
      ++groups.lists;
      for (const char c : text) groups.names += c == ',';
      if (groups.names == 1 || text.front() == ',' || text.back() == ',' || text.find(",,") != std::string_view::npos)
        groups.valid = false;
    }
    at = end;
  }
  return groups;
}

constexpr size_t num_hf_tensors(Op op) {
  return op == Op::kQkv ? 3 : op == Op::kGateUp || op == Op::kPackedGateUp ? 2 : 1;
}
/// One HF tensor holds all experts of a layer.
constexpr bool is_packed(Op op) {
  return op == Op::kPacked || op == Op::kPackedGateUp || op == Op::kPackedReversed || op == Op::kPackedAlternating;
}

constexpr std::string_view flaw_of(const ParamRow& row) {
  const PatternGroups hf = groups_of(row.hf), native = groups_of(row.native);
  if (!hf.valid || !native.valid || row.hf.empty() || row.native.empty() ||
      row.native.find("{L+m}") != std::string_view::npos)
    return "a pattern does not parse";
  if (hf.names != num_hf_tensors(row.op) || hf.lists > 1) return "the names on the HF side do not fit the op";
  if (native.lists != 0) return "a native pattern names several parameters";
  const bool once = hf.layers <= 1 && hf.experts <= 1 && hf.depths <= 1 && native.experts <= 1;
  const bool experts_fit = is_packed(row.op) ? hf.experts == 0 && native.experts == 1 : hf.experts == native.experts;
  const bool depths_fit = hf.depths == native.depths || (row.op == Op::kRepeat && native.depths == 0);
  if (!once || !experts_fit || !depths_fit || hf.layers != native.layers)
    return "the wildcards of the two sides differ";
  if (row.op == Op::kLayerPrefix && (!row.hf.ends_with('.') || !row.native.ends_with('.') || native.depths != 1))
    return "a prefix does not end with a dot or names no depth";
  return {};
}

/// What is wrong with a family's tensor rows, "" when nothing: a pattern that does not parse, a list whose length does
/// not fit the op, wildcards that differ between the sides, a name that two rows claim for the same case.
constexpr std::string_view flaw_of(std::span<const ParamRow> rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    const ParamRow& row = rows[i];
    if (const std::string_view flaw = flaw_of(row); !flaw.empty()) return flaw;
    bool earlier = false;
    for (size_t j = 0; j < i; ++j) {
      const bool global = groups_of(row.native).layers == 0 || groups_of(rows[j].native).layers == 0;
      if (rows[j].hf == row.hf && (global ? rows[j].when == row.when : rows[j].native == row.native))
        return "an HF name stands in two rows";
      if (rows[j].native != row.native || rows[j].op == Op::kRepeat || row.op == Op::kRepeat) continue;
      earlier = true;
      if (row.when != When::kAlternative) return "a native name stands in two rows";
    }
    if (row.when == When::kWritten && row.op != Op::kRepeat) return "a copy that repeats nothing";
    if (row.when == When::kAlternative && !earlier) return "an alternative to nothing";
  }
  return {};
}

}  // namespace rialto::bridge
