// Codes and scales of an exported folder, made from the decoded values that the bridge gives.
#pragma once

#include <string>
#include <unordered_map>

#include "rialto/bridge/codecs/codec.h"
#include "rialto/convert/opened.h"

namespace rialto::convert {

class CodedOutput {
 public:
  /// Both must outlive this object.
  CodedOutput(const OpenedNative& source, bridge::Executor& executor);
  /// Whether the stored tensor is a member of a coded one.
  bool holds(const std::string& name) const { return members_.contains(name); }
  /// The bytes of a member. Values that still are what their old scale decodes to give the old codes again.
  void push(const std::string& name, const ByteSink& sink);
  /// Blocks that got a new scale so far.
  int64_t changed_blocks() const { return changed_; }

 private:
  enum class Role : uint8_t { kCodes, kScales, kShape };
  struct Member {
    uint32_t coded = 0;
    Role role = Role::kCodes;
  };
  void push_encoded(const bridge::CodedTensor& tensor, Role role, const ByteSink& sink);

  const OpenedNative& source_;
  bridge::Executor& executor_;
  std::unordered_map<std::string, Member> members_;
  std::unordered_map<std::string, uint32_t> hf_index_;
  int64_t changed_ = 0;
};

}  // namespace rialto::convert
