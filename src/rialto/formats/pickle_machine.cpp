// Pickle opcodes. Source: CPython's pickletools (protocols 2 to 5).
#include "rialto/formats/pickle_machine.h"

#include <algorithm>
#include <bit>

#include "rialto/base/error.h"
#include "rialto/formats/bytes.h"
#include "rialto/formats/utf8.h"

namespace rialto::formats {

namespace {

constexpr uint64_t kMaxBytes = uint64_t{512} << 20;  // 32-bit offsets would allow more; memory would not

/// Names that protocol 2 writes for Python 3's own.
std::string_view modern_module(std::string_view module) {
  if (module == "__builtin__") return "builtins";
  if (module == "copy_reg") return "copyreg";
  return module;
}

bool is_allowed(std::string_view full, size_t module_size, std::span<const std::string_view> allowed) {
  if (full == "_codecs.encode" || full == "builtins.set") return true;  // how protocol 2 spells bytes and sets
  for (const std::string_view entry : allowed) {
    if (entry.ends_with('.') ? full.substr(0, module_size + 1) == entry : full == entry) return true;
  }
  return false;
}

}  // namespace

PickleMachine::PickleMachine(std::span<const std::byte> bytes, std::string_view where,
                             std::span<const std::string_view> allowed)
    : bytes_(bytes), where_(where), allowed_(allowed) {
  if (bytes.size() > kMaxBytes) fail("the pickle is larger than 512 MiB");
  const auto single = [&](CellKind kind, uint32_t a) {
    cells_.push_back({.kind = kind, .a = a});
    return static_cast<CellId>(cells_.size() - 1);
  };
  none_ = single(CellKind::kNone, 0);
  true_ = single(CellKind::kBool, 1);
  false_ = single(CellKind::kBool, 0);
  empty_tuple_ = single(CellKind::kTuple, 0);
}

void PickleMachine::fail(std::string_view what, std::string got) const {
  throw Error(ErrorKind::kInput, where_, "pickle, byte " + std::to_string(at_) + ": " + std::string(what),
              {.got = std::move(got)});
}

CellId PickleMachine::run() {
  if (read_byte() != 0x80) fail("not a pickle of protocol 2 to 5");
  const uint8_t protocol = read_byte();
  if (protocol < 2 || protocol > 5) fail("protocol out of range", std::to_string(protocol));
  while (!stopped_) step(read_byte());
  if (at_ != bytes_.size()) fail("bytes after the end of the pickle");
  if (stack_.size() != 1 || !marks_.empty()) fail("the stack does not hold one value at the end");
  return stack_[0];
}

int64_t PickleMachine::integer(const Cell& cell) const {
  return static_cast<int64_t>((static_cast<uint64_t>(cell.b) << 32) | cell.a);
}
double PickleMachine::number(const Cell& cell) const { return std::bit_cast<double>(integer(cell)); }
std::string_view PickleMachine::text(const Cell& cell) const { return as_text(bytes_.subspan(cell.a, cell.b)); }
std::string_view PickleMachine::global_name(const Cell& cell) const { return globals_[cell.a]; }
std::span<const CellId> PickleMachine::tuple(const Cell& cell) const {
  return std::span<const CellId>(children_).subspan(cell.a, cell.b);
}

uint8_t PickleMachine::read_byte() {
  if (at_ >= bytes_.size()) fail("it ends early");
  return static_cast<uint8_t>(bytes_[at_++]);
}

template <class T>
T PickleMachine::read_number() {
  return load<T>(read_span(sizeof(T)).data());
}

std::string_view PickleMachine::read_span(uint64_t length) {
  if (length > bytes_.size() - at_) fail("it ends early", "a length of " + std::to_string(length));
  const std::string_view span = as_text(bytes_.subspan(at_, static_cast<size_t>(length)));
  at_ += static_cast<size_t>(length);
  return span;
}

std::string_view PickleMachine::read_line() {
  const std::string_view rest = as_text(bytes_.subspan(at_));
  const size_t end = rest.find('\n');
  if (end == rest.npos) fail("it ends early");
  at_ += end + 1;
  return rest.substr(0, end);
}

CellId PickleMachine::make(const Cell& cell) {
  cells_.push_back(cell);
  return static_cast<CellId>(cells_.size() - 1);
}

CellId PickleMachine::make_int(int64_t value) {
  const auto bits = static_cast<uint64_t>(value);
  return make({.kind = CellKind::kInt, .a = static_cast<uint32_t>(bits), .b = static_cast<uint32_t>(bits >> 32)});
}

CellId PickleMachine::make_text(CellKind kind, std::string_view text) {
  if (kind == CellKind::kString && !is_utf8(text)) fail("a text is not UTF-8");
  const auto offset = static_cast<uint32_t>(text.data() - as_text(bytes_).data());
  return make({.kind = kind, .a = offset, .b = static_cast<uint32_t>(text.size())});
}

CellId PickleMachine::make_tuple(std::span<const CellId> items) {
  if (items.empty()) return empty_tuple_;
  const Cell cell = {
      .kind = CellKind::kTuple, .a = static_cast<uint32_t>(children_.size()), .b = static_cast<uint32_t>(items.size())};
  children_.insert(children_.end(), items.begin(), items.end());
  return make(cell);
}

CellId PickleMachine::make_global(std::string_view module, std::string_view name) {
  module = modern_module(module);
  const std::string full = std::string(module) + "." + std::string(name);
  if (!is_allowed(full, module.size(), allowed_))
    fail("it asks for a name that is not allowed; no code is run from files", "'" + full + "'");
  const auto known = std::find(globals_.begin(), globals_.end(), full);  // few distinct names are ever allowed
  if (known != globals_.end()) return global_cells_[static_cast<size_t>(known - globals_.begin())];
  if (globals_.size() >= 1024) fail("too many different names");
  globals_.push_back(full);
  global_cells_.push_back(make({.kind = CellKind::kGlobal, .a = static_cast<uint32_t>(globals_.size() - 1)}));
  return global_cells_.back();
}

CellId PickleMachine::pop() {
  const CellId id = top();
  stack_.pop_back();
  return id;
}

CellId PickleMachine::top() const {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("the stack is empty");
  return stack_.back();
}

size_t PickleMachine::pop_mark() {
  if (marks_.empty()) fail("no mark on the stack");
  const size_t mark = marks_.back();
  marks_.pop_back();
  return mark;
}

/// Moves the stack's values from position `from` on into a container.
void PickleMachine::extend(CellId container, size_t from) {
  const auto count = static_cast<uint32_t>(stack_.size() - from);
  if (count > 0) {
    Cell& cell = cells_[container];
    const auto begin = static_cast<uint32_t>(children_.size());
    children_.insert(children_.end(), stack_.begin() + static_cast<std::ptrdiff_t>(from), stack_.end());
    if (cell.b != 0 && segments_[cell.b - 1].begin + segments_[cell.b - 1].count == begin) {
      segments_[cell.b - 1].count += count;
    } else {
      segments_.push_back({.begin = begin, .count = count});
      const auto added = static_cast<uint32_t>(segments_.size());
      (cell.b == 0 ? cell.a : segments_[cell.b - 1].next) = added;
      cell.b = added;
    }
    cell.c += count;
  }
  stack_.resize(from);
}

void PickleMachine::long_int(uint64_t length) {
  const std::string_view digits = read_span(length);
  if (length > 8) fail("a whole number does not fit 64 bits");
  uint64_t value = length > 0 && (static_cast<unsigned char>(digits.back()) & 0x80) ? ~uint64_t{0} : 0;
  for (size_t i = digits.size(); i-- > 0;) value = (value << 8) | static_cast<unsigned char>(digits[i]);
  push(make_int(static_cast<int64_t>(value)));
}

void PickleMachine::put(uint64_t index) {
  if (index >= bytes_.size()) fail("a memo index is out of range", std::to_string(index));
  if (index >= memo_.size()) memo_.resize(static_cast<size_t>(index) + 1, kNoCell);
  memo_[static_cast<size_t>(index)] = top();
}

void PickleMachine::get(uint64_t index) {
  if (index >= memo_.size() || memo_[static_cast<size_t>(index)] == kNoCell)
    fail("a memo entry that was never set", std::to_string(index));
  push(memo_[static_cast<size_t>(index)]);
}

void PickleMachine::step(uint8_t opcode) {
  if (step_memo(opcode) || step_value(opcode) || step_container(opcode) || step_object(opcode)) return;
  constexpr std::string_view kOld = "ILFSVPpgio";
  const char text = static_cast<char>(opcode);
  if (kOld.find(text) != kOld.npos) fail("an opcode of protocol 0 or 1", std::string("'") + text + "'");
  fail("an opcode that is not read", std::to_string(opcode));
}

bool PickleMachine::step_memo(uint8_t opcode) {
  switch (opcode) {
    case 'q':
      put(read_byte());
      return true;  // BINPUT
    case 'r':
      put(read_number<uint32_t>());
      return true;  // LONG_BINPUT
    case 0x94:
      put(memo_.size());
      return true;  // MEMOIZE
    case 'h':
      get(read_byte());
      return true;  // BINGET
    case 'j':
      get(read_number<uint32_t>());
      return true;  // LONG_BINGET
    case '0':       // POP
      if (!marks_.empty() && marks_.back() == stack_.size())
        marks_.pop_back();
      else
        pop();
      return true;
    case '1':
      stack_.resize(pop_mark());
      return true;  // POP_MARK
    case '2':
      push(top());
      return true;  // DUP
    case '(':
      marks_.push_back(stack_.size());
      return true;  // MARK
    case '.':
      stopped_ = true;
      return true;  // STOP
    case 0x95:      // FRAME
      if (read_number<uint64_t>() > bytes_.size() - at_) fail("a frame is longer than the input");
      return true;
    default:
      return false;
  }
}

bool PickleMachine::step_value(uint8_t opcode) {
  switch (opcode) {
    case 'N':
      push(none_);
      return true;
    case 0x88:
      push(true_);
      return true;
    case 0x89:
      push(false_);
      return true;
    case 'K':
      push(make_int(read_byte()));
      return true;
    case 'M':
      push(make_int(read_number<uint16_t>()));
      return true;
    case 'J':
      push(make_int(read_number<int32_t>()));
      return true;
    case 0x8a:
      long_int(read_byte());
      return true;
    case 0x8b: {
      const auto length = read_number<int32_t>();
      if (length < 0) fail("a negative length");
      long_int(static_cast<uint64_t>(length));
      return true;
    }
    case 'G': {  // big-endian double
      const uint64_t bits = __builtin_bswap64(read_number<uint64_t>());
      push(make({.kind = CellKind::kFloat, .a = static_cast<uint32_t>(bits), .b = static_cast<uint32_t>(bits >> 32)}));
      return true;
    }
    case 0x8c:
      push(make_text(CellKind::kString, read_span(read_byte())));
      return true;
    case 'X':
      push(make_text(CellKind::kString, read_span(read_number<uint32_t>())));
      return true;
    case 0x8d:
      push(make_text(CellKind::kString, read_span(read_number<uint64_t>())));
      return true;
    case 'C':
    case 'U':
      push(make_text(CellKind::kBytes, read_span(read_byte())));
      return true;
    case 'B':
    case 'T':
      push(make_text(CellKind::kBytes, read_span(read_number<uint32_t>())));
      return true;
    case 0x8e:
    case 0x96:
      push(make_text(CellKind::kBytes, read_span(read_number<uint64_t>())));
      return true;
    default:
      return false;
  }
}

bool PickleMachine::step_container(uint8_t opcode) {
  const auto tuple_of = [&](size_t from) {
    const CellId id = make_tuple(std::span<const CellId>(stack_).subspan(from));
    stack_.resize(from);
    push(id);
  };
  const auto last = [&](size_t count) {
    if (stack_.size() - (marks_.empty() ? 0 : marks_.back()) < count) fail("the stack is empty");
    return stack_.size() - count;
  };
  const auto collect = [&](CellKind kind) {
    const size_t mark = pop_mark();
    if (kind == CellKind::kDict && (stack_.size() - mark) % 2 != 0) fail("a key without a value");
    const CellId id = make({.kind = kind});
    extend(id, mark);
    push(id);
  };
  const auto into = [&](size_t from, std::initializer_list<CellKind> kinds) {
    if (from == 0 || from <= (marks_.empty() ? 0 : marks_.back())) fail("the stack is empty");
    const CellId target = stack_[from - 1];
    const CellKind kind = cells_[target].kind;
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end())
      fail("items are added to something that takes none");
    if (kind != CellKind::kList && kind != CellKind::kSet && (stack_.size() - from) % 2 != 0)
      fail("a key without a value");
    extend(target, from);
  };
  switch (opcode) {
    case ')':
      push(empty_tuple_);
      return true;
    case 0x85:
      tuple_of(last(1));
      return true;
    case 0x86:
      tuple_of(last(2));
      return true;
    case 0x87:
      tuple_of(last(3));
      return true;
    case 't':
      tuple_of(pop_mark());
      return true;
    case ']':
      push(make({.kind = CellKind::kList}));
      return true;
    case '}':
      push(make({.kind = CellKind::kDict}));
      return true;
    case 0x8f:
      push(make({.kind = CellKind::kSet}));
      return true;
    case 'l':
      collect(CellKind::kList);
      return true;
    case 'd':
      collect(CellKind::kDict);
      return true;
    case 0x91:
      collect(CellKind::kSet);
      return true;
    case 'a':
      into(last(1), {CellKind::kList});
      return true;
    case 'e':
      into(pop_mark(), {CellKind::kList});
      return true;
    case 0x90:
      into(pop_mark(), {CellKind::kSet});
      return true;
    case 's':
      into(last(2), {CellKind::kDict, CellKind::kCall, CellKind::kObject});
      return true;
    case 'u':
      into(pop_mark(), {CellKind::kDict, CellKind::kCall, CellKind::kObject});
      return true;
    default:
      return false;
  }
}

bool PickleMachine::step_object(uint8_t opcode) {
  const auto make_call = [&](CellKind kind, CellId callee, CellId arguments) {
    if (cells_[callee].kind != CellKind::kGlobal) fail("a call of something that is not a name");
    if (cells_[arguments].kind != CellKind::kTuple) fail("arguments that are not a tuple");
    calls_.push_back({.callee = callee, .arguments = arguments, .state = kNoCell});
    push(make({.kind = kind, .d = static_cast<uint32_t>(calls_.size() - 1)}));
  };
  switch (opcode) {
    case 'c': {  // GLOBAL
      const std::string_view module = read_line();
      const std::string_view name = read_line();
      push(make_global(module, name));
      return true;
    }
    case 0x93: {  // STACK_GLOBAL
      const Cell name = cells_[pop()];
      const Cell module = cells_[pop()];
      if (name.kind != CellKind::kString || module.kind != CellKind::kString) fail("a name that is not text");
      push(make_global(text(module), text(name)));
      return true;
    }
    case 'R':     // REDUCE
    case 0x81: {  // NEWOBJ
      const CellId arguments = pop();
      const CellId callee = pop();
      make_call(opcode == 'R' ? CellKind::kCall : CellKind::kObject, callee, arguments);
      return true;
    }
    case 0x92: {  // NEWOBJ_EX
      const Cell keywords = cells_[pop()];
      const CellId arguments = pop();
      const CellId callee = pop();
      if (keywords.kind != CellKind::kDict || keywords.c != 0) fail("an object with keyword arguments");
      make_call(CellKind::kObject, callee, arguments);
      return true;
    }
    case 'b': {  // BUILD
      const CellId state = pop();
      const Cell& target = cells_[top()];
      if (target.kind != CellKind::kCall && target.kind != CellKind::kObject)
        fail("a state for something that has none");
      CallParts& parts = calls_[target.d];
      if (parts.state != kNoCell) fail("a second state for one object");
      parts.state = state;
      return true;
    }
    case 'Q': {  // BINPERSID
      const CellId id = pop();
      push(make({.kind = CellKind::kPersistentId, .a = id}));
      return true;
    }
    default:
      return false;
  }
}

}  // namespace rialto::formats
