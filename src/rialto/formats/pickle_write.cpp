// Writing protocol 2: the subset of opcodes that every reader knows, torch's weights-only one included.
#include <bit>
#include <cstdint>
#include <limits>

#include "rialto/base/error.h"
#include "rialto/formats/bytes.h"
#include "rialto/formats/pickle.h"
#include "rialto/formats/pickle_emit.h"

namespace rialto::formats {

void PickleEmitter::integer(int64_t value) {
  if (value >= 0 && value < 256) {
    op('K');
    out_ += static_cast<char>(value);
  } else if (value >= 0 && value < 65536) {
    op('M');
    append_le(out_, static_cast<uint16_t>(value));
  } else if (value >= std::numeric_limits<int32_t>::min() && value <= std::numeric_limits<int32_t>::max()) {
    op('J');
    append_le(out_, static_cast<int32_t>(value));
  } else {
    op('\x8a');
    out_ += '\x08';
    append_le(out_, value);
  }
}

void PickleEmitter::number(double value) {
  op('G');
  append_le(out_, __builtin_bswap64(std::bit_cast<uint64_t>(value)));
}

void PickleEmitter::text(std::string_view value) {
  if (value.size() > std::numeric_limits<uint32_t>::max())
    throw Error(ErrorKind::kInternal, "pickle", "a text over 4 GiB");
  op('X');
  append_le(out_, static_cast<uint32_t>(value.size()));
  out_ += value;
}

void PickleEmitter::put() {
  if (next_ < 256) {
    op('q');
    out_ += static_cast<char>(next_);
  } else {
    op('r');
    append_le(out_, next_);
  }
  ++next_;
}

uint32_t PickleEmitter::remember() {
  put();
  return next_ - 1;
}

void PickleEmitter::get(uint32_t index) {
  if (index < 256) {
    op('h');
    out_ += static_cast<char>(index);
  } else {
    op('j');
    append_le(out_, index);
  }
}

bool PickleEmitter::fetch(Memo& memo, const std::string& key) {
  const auto [entry, fresh] = memo.try_emplace(key, next_);
  if (!fresh) get(entry->second);
  return !fresh;
}

void PickleEmitter::shared_text(std::string_view value) {
  if (fetch(texts_, std::string(value))) return;
  text(value);
  put();
}

void PickleEmitter::global(std::string_view module, std::string_view name) {
  std::string line = "c";
  line.append(module).append("\n").append(name).append("\n");
  if (fetch(globals_, line)) return;
  out_ += line;
  put();
}

std::string PickleEmitter::finish() {
  op('.');
  return std::move(out_);
}

namespace {

using Kind = PickleValue::Kind;

std::string latin1_as_utf8(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xC0 | (code >> 6));
      text += static_cast<char>(0x80 | (code & 0x3F));
    }
  }
  return text;
}

class Writer {
 public:
  std::string write(const PickleValue& value) {
    emit(value, 0);
    return emitter_.finish();
  }

 private:
  void emit(const PickleValue& value, int depth) {
    if (depth > 256) throw Error(ErrorKind::kInternal, "pickle", "a value nested too deeply to be written");
    switch (value.kind) {
      case Kind::kNone:
        emitter_.none();
        return;
      case Kind::kBool:
        emitter_.boolean(value.boolean);
        return;
      case Kind::kInt:
        emitter_.integer(value.integer);
        return;
      case Kind::kFloat:
        emitter_.number(value.number);
        return;
      case Kind::kString:
        emitter_.text(value.text);
        return;
      case Kind::kBytes:  // opcodes for bytes came with protocol 3
        emitter_.global("_codecs", "encode");
        emitter_.text(latin1_as_utf8(value.text));
        emitter_.text("latin1");
        emitter_.op('\x86');
        emitter_.op('R');
        return;
      case Kind::kTuple:
        tuple(value.items, depth);
        return;
      case Kind::kList:
        list(value.items, depth);
        return;
      case Kind::kSet:
        emitter_.global("builtins", "set");
        list(value.items, depth);
        emitter_.op('\x85');
        emitter_.op('R');
        return;
      case Kind::kDict:
        emitter_.op('}');
        entries(value, depth);
        return;
      case Kind::kGlobal:
        global(value);
        return;
      case Kind::kCall:
      case Kind::kObject:
        emit(*value.callee, depth + 1);
        emit(*value.items.at(0), depth + 1);
        emitter_.op(value.kind == Kind::kCall ? 'R' : '\x81');
        entries(value, depth);
        if (value.state) {
          emit(*value.state, depth + 1);
          emitter_.op('b');
        }
        return;
      case Kind::kPersistentId:
        emit(*value.items.at(0), depth + 1);
        emitter_.op('Q');
        return;
    }
  }

  void tuple(const std::vector<PicklePtr>& items, int depth) {
    if (items.empty()) {
      emitter_.op(')');
      return;
    }
    const bool marked = items.size() > 3;
    if (marked) emitter_.op('(');
    for (const PicklePtr& item : items) emit(*item, depth + 1);
    emitter_.op(marked ? 't' : static_cast<char>(0x84 + static_cast<int>(items.size())));
  }

  void list(const std::vector<PicklePtr>& items, int depth) {
    emitter_.op(']');
    if (items.empty()) return;
    emitter_.op('(');
    for (const PicklePtr& item : items) emit(*item, depth + 1);
    emitter_.op('e');
  }

  void entries(const PickleValue& value, int depth) {
    if (value.dict.empty()) return;
    emitter_.op('(');
    for (const auto& [key, item] : value.dict) {
      emit(*key, depth + 1);
      emit(*item, depth + 1);
    }
    emitter_.op('u');
  }

  void global(const PickleValue& value) {
    const std::string_view full = value.text;
    const size_t dot = full.rfind('.');
    if (dot == full.npos || full.find('\n') != full.npos)
      throw Error(ErrorKind::kInternal, "pickle", "a global needs a module and a name");
    emitter_.global(full.substr(0, dot), full.substr(dot + 1));
  }

  PickleEmitter emitter_;
};

PicklePtr make(Kind kind) {
  auto value = std::make_shared<PickleValue>();
  value->kind = kind;
  return value;
}
PicklePtr with_text(Kind kind, std::string text) {
  PicklePtr value = make(kind);
  value->text = std::move(text);
  return value;
}
PicklePtr with_items(Kind kind, std::vector<PicklePtr> items) {
  PicklePtr value = make(kind);
  value->items = std::move(items);
  return value;
}

}  // namespace

PicklePtr p_none() { return make(Kind::kNone); }
PicklePtr p_bool(bool value) {
  PicklePtr result = make(Kind::kBool);
  result->boolean = value;
  return result;
}
PicklePtr p_int(int64_t value) {
  PicklePtr result = make(Kind::kInt);
  result->integer = value;
  return result;
}
PicklePtr p_float(double value) {
  PicklePtr result = make(Kind::kFloat);
  result->number = value;
  return result;
}
PicklePtr p_str(std::string value) { return with_text(Kind::kString, std::move(value)); }
PicklePtr p_tuple(std::vector<PicklePtr> items) { return with_items(Kind::kTuple, std::move(items)); }
PicklePtr p_list(std::vector<PicklePtr> items) { return with_items(Kind::kList, std::move(items)); }
PicklePtr p_dict(std::vector<std::pair<PicklePtr, PicklePtr>> items) {
  PicklePtr value = make(Kind::kDict);
  value->dict = std::move(items);
  return value;
}
PicklePtr p_global(std::string_view module, std::string_view name) {
  return with_text(Kind::kGlobal, std::string(module) + "." + std::string(name));
}
PicklePtr p_call(PicklePtr callee, std::vector<PicklePtr> arguments) {
  PicklePtr value = with_items(Kind::kCall, {p_tuple(std::move(arguments))});
  value->callee = std::move(callee);
  return value;
}
PicklePtr p_object(PicklePtr cls, std::vector<PicklePtr> arguments, PicklePtr state) {
  PicklePtr value = with_items(Kind::kObject, {p_tuple(std::move(arguments))});
  value->callee = std::move(cls);
  value->state = std::move(state);
  return value;
}
PicklePtr p_persistent(PicklePtr id) { return with_items(Kind::kPersistentId, {std::move(id)}); }

std::string write_pickle(const PickleValue& value) { return Writer().write(value); }

}  // namespace rialto::formats
