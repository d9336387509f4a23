// Codes and scales of an exported folder, made from the decoded values that the bridge gives.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

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
  /// Rows of a tensor, whole blocks of them, and what they become. Used again and again.
  struct Part {
    std::vector<std::byte> stored, scale_bytes, codes;
    std::vector<float> values, scales;
    int64_t changed = 0;
  };
  void push_encoded(uint32_t coded, Role role, const ByteSink& sink);
  void encode_rows(uint32_t coded, int64_t first, int64_t rows, Part& part) const;

  const OpenedNative& source_;
  bridge::Executor& executor_;
  std::unordered_map<std::string, Member> members_;
  std::unordered_map<std::string, uint32_t> hf_index_;
  int64_t changed_ = 0;
  std::vector<Part> parts_;          ///< one a thread
  std::optional<uint32_t> encoded_;  ///< the tensor whose codes were pushed last, and its scales, which follow mostly
  std::vector<std::byte> encoded_scales_;
};

}  // namespace rialto::convert
