// The stack machine behind every pickle reader: turns opcodes into compact cells, 20 bytes each. Inside formats only.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rialto::formats {

using CellId = uint32_t;

enum class CellKind : uint32_t {
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kBytes,
  kTuple,
  kList,
  kSet,
  kDict,
  kGlobal,
  kCall,
  kObject,
  kPersistentId
};

struct Cell {
  CellKind kind = CellKind::kNone;
  // Meaning by kind. Text: offset and length in the input. Number: its 64 bits. Tuple: first child and count. List,
  // set, dict and the items set on a call: first and last segment (plus one) and count of children. Global: name index.
  uint32_t a = 0, b = 0, c = 0;
  uint32_t d = 0;  ///< call, object: index into calls
};

/// Callee, argument tuple and BUILD state of a call or object. No state: kNoCell.
struct CallParts {
  CellId callee = 0, arguments = 0, state = 0;
};

inline constexpr CellId kNoCell = 0xFFFFFFFFu;

/// Runs one pickle of protocol 2 to 5. Memory: at most some 50 times the input. Nothing is looked up or called.
class PickleMachine {
 public:
  PickleMachine(std::span<const std::byte> bytes, std::string_view where, std::span<const std::string_view> allowed);

  /// The pickle's value. Cells may refer to each other in any way, cycles included: follow them to a fixed depth only.
  CellId run();

  const Cell& cell(CellId id) const { return cells_[id]; }
  const CallParts& call(const Cell& cell) const { return calls_[cell.d]; }
  int64_t integer(const Cell& cell) const;
  double number(const Cell& cell) const;
  std::string_view text(const Cell& cell) const;         ///< string, bytes
  std::string_view global_name(const Cell& cell) const;  ///< "module.name"
  std::span<const CellId> tuple(const Cell& cell) const;

  /// Calls visit(child) for the items of a list, set, dict (key, value, key, ...) or those set on a call, in order.
  template <class Visit>
  void for_each(const Cell& cell, Visit&& visit) const {
    for (uint32_t s = cell.a; s != 0; s = segments_[s - 1].next) {
      const Segment& segment = segments_[s - 1];
      for (uint32_t i = 0; i < segment.count; ++i) visit(children_[segment.begin + i]);
    }
  }

  /// Throws kInput with `where` and the byte offset reached.
  [[noreturn]] void fail(std::string_view what, std::string got = {}) const;

 private:
  struct Segment {
    uint32_t begin = 0, count = 0, next = 0;
  };

  void step(uint8_t opcode);
  bool step_value(uint8_t opcode);
  bool step_container(uint8_t opcode);
  bool step_object(uint8_t opcode);
  bool step_memo(uint8_t opcode);

  uint8_t read_byte();
  template <class T>
  T read_number();
  std::string_view read_span(uint64_t length);
  std::string_view read_line();

  CellId make(const Cell& cell);
  CellId make_int(int64_t value);
  CellId make_text(CellKind kind, std::string_view text);
  CellId make_tuple(std::span<const CellId> items);
  CellId make_global(std::string_view module, std::string_view name);
  void push(CellId id) { stack_.push_back(id); }
  CellId pop();
  CellId top() const;
  size_t pop_mark();
  void extend(CellId container, size_t from);
  void long_int(uint64_t length);
  void put(uint64_t index);
  void get(uint64_t index);

  std::span<const std::byte> bytes_;
  std::string where_;
  std::span<const std::string_view> allowed_;
  size_t at_ = 0;
  bool stopped_ = false;
  CellId none_ = 0, true_ = 0, false_ = 0, empty_tuple_ = 0;
  std::vector<Cell> cells_;
  std::vector<CallParts> calls_;
  std::vector<CellId> children_;
  std::vector<Segment> segments_;
  std::vector<CellId> stack_;
  std::vector<size_t> marks_;
  std::vector<CellId> memo_;
  std::vector<std::string> globals_;
  std::vector<CellId> global_cells_;
};

}  // namespace rialto::formats
