// Protocol-2 opcodes appended to a byte string. Inside formats only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace rialto::formats {

class PickleEmitter {
 public:
  PickleEmitter() { out_ = "\x80\x02"; }

  /// Memoises the value on top of the stack; get() pushes it again.
  uint32_t remember();
  void get(uint32_t index);

  void op(char opcode) { out_ += opcode; }
  void none() { op('N'); }
  void boolean(bool value) { op(value ? '\x88' : '\x89'); }
  void integer(int64_t value);
  void number(double value);
  void text(std::string_view value);         ///< written out each time
  void shared_text(std::string_view value);  ///< written once, then fetched from the memo
  void global(std::string_view module, std::string_view name);

  /// The finished pickle. The emitter is empty afterwards.
  std::string finish();

 private:
  using Memo = std::unordered_map<std::string, uint32_t>;
  void put();
  bool fetch(Memo& memo, const std::string& key);

  std::string out_;
  Memo texts_, globals_;
  uint32_t next_ = 0;
};

}  // namespace rialto::formats
