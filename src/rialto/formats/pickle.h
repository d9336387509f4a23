// Pickle: an allow-list interpreter for protocols 2 to 5 that never runs code, and a protocol-2 writer.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rialto::formats {

struct PickleValue;
using PicklePtr = std::shared_ptr<PickleValue>;

/// A tree of what a pickle says. Objects and calls are kept by name, never looked up or run.
struct PickleValue {
  enum class Kind {
    kNone,
    kBool,
    kInt,
    kFloat,
    kString,
    kBytes,
    kTuple,
    kList,
    kDict,
    kSet,
    kGlobal,        ///< text = "module.name"
    kCall,          ///< REDUCE: callee = global, items = {argument tuple}; state from BUILD
    kObject,        ///< NEWOBJ: callee = class, items = {argument tuple}; state from BUILD
    kPersistentId,  ///< items = {id}
  };
  Kind kind = Kind::kNone;
  bool boolean = false;
  int64_t integer = 0;
  double number = 0;
  std::string text;                                   ///< kString, kBytes, kGlobal
  std::vector<PicklePtr> items;                       ///< tuple, list, set, arguments
  std::vector<std::pair<PicklePtr, PicklePtr>> dict;  ///< in order; also items set on a kCall (OrderedDict)
  PicklePtr callee;
  PicklePtr state;

  const PickleValue* get(std::string_view key) const;  ///< dict entry with that string key, or nullptr
  std::string_view class_name() const;                 ///< callee's or own global name, "" otherwise
};

/// Reads one pickle. Globals outside `allowed` (exact names; an entry ending in '.' allows the module) are refused by
/// name. Memory is bounded by a small multiple of the input's size. Throws kInput with `where` and the byte offset on
/// anything else: truncation, unknown opcodes, cycles, depth over 256.
PicklePtr read_pickle(std::span<const std::byte> bytes, std::string_view where,
                      std::span<const std::string_view> allowed);

// Building blocks for writing; write_pickle emits protocol 2 and memoises globals only.
PicklePtr p_none();
PicklePtr p_bool(bool value);
PicklePtr p_int(int64_t value);
PicklePtr p_float(double value);
PicklePtr p_str(std::string value);
PicklePtr p_tuple(std::vector<PicklePtr> items);
PicklePtr p_list(std::vector<PicklePtr> items);
PicklePtr p_dict(std::vector<std::pair<PicklePtr, PicklePtr>> items = {});
PicklePtr p_global(std::string_view module, std::string_view name);
PicklePtr p_call(PicklePtr callee, std::vector<PicklePtr> arguments);
PicklePtr p_object(PicklePtr cls, std::vector<PicklePtr> arguments, PicklePtr state);  ///< NEWOBJ, BUILD when state
PicklePtr p_persistent(PicklePtr id);
std::string write_pickle(const PickleValue& value);

}  // namespace rialto::formats
