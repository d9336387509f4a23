// Cells of the pickle machine to a tree of shared values, with depth and size bounded.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "rialto/base/error.h"
#include "rialto/formats/pickle.h"
#include "rialto/formats/pickle_machine.h"

namespace rialto::formats {

namespace {

constexpr int kMaxDepth = 256;
constexpr size_t kMaxValues = 2'000'000;       // values built: some 400 MB
constexpr uint64_t kMaxExpanded = 16'000'000;  // values seen by someone who walks the tree through shared ones

class TreeBuilder {
 public:
  explicit TreeBuilder(const PickleMachine& machine) : machine_(machine) {}

  PicklePtr build(CellId id) { return visit(id, 0).value; }

 private:
  struct Built {
    PicklePtr value;
    uint64_t expanded = 1;
    int height = 0;
  };

  Built visit(CellId id, int depth) {
    if (depth > kMaxDepth) machine_.fail("nested too deeply");
    if (const auto found = done_.find(id); found != done_.end()) {
      if (depth + found->second.height > kMaxDepth) machine_.fail("nested too deeply");
      return found->second;
    }
    if (!open_.insert(id).second) machine_.fail("a value contains itself");
    if (done_.size() >= kMaxValues) machine_.fail("more than two million values");
    Built built;
    built.value = std::make_shared<PickleValue>();
    fill(*built.value, machine_.cell(id), depth, built);
    if (built.expanded > kMaxExpanded) machine_.fail("shared values expand without bound");
    open_.erase(id);
    return done_.emplace(id, std::move(built)).first->second;
  }

  void fill(PickleValue& value, const Cell& cell, int depth, Built& built) {
    using Kind = PickleValue::Kind;
    const auto child = [&](CellId id) {
      const Built inner = visit(id, depth + 1);
      built.expanded = std::min(built.expanded + inner.expanded, kMaxExpanded + 1);
      built.height = std::max(built.height, inner.height + 1);
      return inner.value;
    };
    const auto items = [&](Kind kind) {
      value.kind = kind;
      value.items.reserve(cell.c);
      machine_.for_each(cell, [&](CellId id) { value.items.push_back(child(id)); });
    };
    switch (cell.kind) {
      case CellKind::kNone:
        break;
      case CellKind::kBool:
        value.kind = Kind::kBool;
        value.boolean = cell.a != 0;
        break;
      case CellKind::kInt:
        value.kind = Kind::kInt;
        value.integer = machine_.integer(cell);
        break;
      case CellKind::kFloat:
        value.kind = Kind::kFloat;
        value.number = machine_.number(cell);
        break;
      case CellKind::kString:
      case CellKind::kBytes:
        value.kind = cell.kind == CellKind::kString ? Kind::kString : Kind::kBytes;
        value.text = machine_.text(cell);
        break;
      case CellKind::kTuple:
        value.kind = Kind::kTuple;
        value.items.reserve(cell.b);
        for (const CellId id : machine_.tuple(cell)) value.items.push_back(child(id));
        break;
      case CellKind::kList:
        items(Kind::kList);
        break;
      case CellKind::kSet:
        items(Kind::kSet);
        break;
      case CellKind::kDict:
        value.kind = Kind::kDict;
        fill_dict(value, cell, child);
        break;
      case CellKind::kGlobal:
        value.kind = Kind::kGlobal;
        value.text = machine_.global_name(cell);
        break;
      case CellKind::kCall:
      case CellKind::kObject: {
        value.kind = cell.kind == CellKind::kCall ? Kind::kCall : Kind::kObject;
        const CallParts& parts = machine_.call(cell);
        value.callee = child(parts.callee);
        value.items.push_back(child(parts.arguments));
        if (parts.state != kNoCell) value.state = child(parts.state);
        fill_dict(value, cell, child);
        if (value.kind == Kind::kCall) simplify(value);
        break;
      }
      case CellKind::kPersistentId:
        value.kind = Kind::kPersistentId;
        value.items.push_back(child(cell.a));
        break;
    }
  }

  template <class Child>
  void fill_dict(PickleValue& value, const Cell& cell, const Child& child) {
    value.dict.reserve(cell.c / 2);
    std::unordered_set<std::string_view> names;
    PicklePtr key;
    machine_.for_each(cell, [&](CellId id) {
      if (!key) {
        key = child(id);
        if (key->kind == PickleValue::Kind::kString && !names.insert(key->text).second) {
          machine_.fail("a dictionary has one key twice", "'" + key->text.substr(0, 100) + "'");
        }
        return;
      }
      value.dict.emplace_back(std::move(key), child(id));
      key = nullptr;
    });
  }

  /// Protocol 2 has no opcodes for bytes and sets: they are calls of _codecs.encode(text, "latin1") and
  /// builtins.set(list).
  void simplify(PickleValue& value) const {
    const std::string_view name = value.callee->text;
    const std::vector<PicklePtr>& arguments = value.items[0]->items;
    PickleValue simple;
    if (name == "_codecs.encode") {
      if (arguments.size() != 2 || arguments[0]->kind != PickleValue::Kind::kString || arguments[1]->text != "latin1") {
        machine_.fail("_codecs.encode with other arguments than a text and 'latin1'");
      }
      simple.kind = PickleValue::Kind::kBytes;
      const std::string& text = arguments[0]->text;
      for (size_t i = 0; i < text.size(); ++i) {
        auto code = static_cast<unsigned char>(text[i]);
        if (code >= 0xC4) machine_.fail("_codecs.encode of a text outside latin1");
        if (code >= 0xC2)
          code = static_cast<unsigned char>((code << 6) | (static_cast<unsigned char>(text[++i]) & 0x3F));
        simple.text += static_cast<char>(code);
      }
    } else if (name == "builtins.set") {
      simple.kind = PickleValue::Kind::kSet;
      if (arguments.size() > 1) machine_.fail("builtins.set with more than one argument");
      if (!arguments.empty()) simple.items = arguments[0]->items;
    } else {
      return;
    }
    if (value.state || !value.dict.empty()) machine_.fail("a state for something that has none");
    value = std::move(simple);
  }

  const PickleMachine& machine_;
  std::unordered_map<CellId, Built> done_;
  std::unordered_set<CellId> open_;
};

}  // namespace

const PickleValue* PickleValue::get(std::string_view key) const {
  for (const auto& [name, value] : dict) {
    if (name->kind == Kind::kString && name->text == key) return value.get();
  }
  return nullptr;
}

std::string_view PickleValue::class_name() const {
  if (callee) return callee->text;
  return kind == Kind::kGlobal ? std::string_view(text) : std::string_view();
}

PicklePtr read_pickle(std::span<const std::byte> bytes, std::string_view where,
                      std::span<const std::string_view> allowed) {
  PickleMachine machine(bytes, where, allowed);
  const CellId root = machine.run();
  return TreeBuilder(machine).build(root);
}

}  // namespace rialto::formats
