// Text of a growing list of tokens. Decoders look at neighbours (a leading space that is stripped, bytes that make one
// character), so a short window of earlier tokens is decoded with each new one and only what it adds is given out.
#include <string_view>

#include "rialto/hub/tokenizer.h"

namespace rialto::hub {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD: what an unfinished character decodes to
constexpr size_t kMaxPending = 16;

size_t common_prefix(std::string_view a, std::string_view b) {
  size_t n = 0;
  while (n < a.size() && n < b.size() && a[n] == b[n]) ++n;
  while (n > 0 && n < b.size() && (static_cast<unsigned char>(b[n]) & 0xC0) == 0x80) --n;  // whole characters only
  return n;
}

}  // namespace

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(tokenizer), skip_special_(skip_special) {}

// ids_[0, read_) is given out; ids_[prefix_, read_) is the window that later tokens are decoded with.
std::string StreamDecoder::push(int32_t id) {
  ids_.push_back(id);
  const std::span<const int32_t> all = std::span(ids_).subspan(prefix_);
  const std::string before = tokenizer_.decode(all.first(read_ - prefix_), skip_special_);
  const std::string after = tokenizer_.decode(all, skip_special_);
  const bool waiting = after.size() <= before.size() || after.ends_with(kReplacement);
  if ((waiting && ids_.size() - read_ < kMaxPending) || !after.starts_with(before)) return {};
  prefix_ = read_;
  read_ = ids_.size();
  return after.substr(before.size());
}

std::string StreamDecoder::finish() {
  const std::span<const int32_t> all = std::span(ids_).subspan(prefix_);
  const std::string before = tokenizer_.decode(all.first(read_ - prefix_), skip_special_);
  const std::string after = tokenizer_.decode(all, skip_special_);
  ids_.clear();
  prefix_ = read_ = 0;
  return after.substr(common_prefix(before, after));
}

}  // namespace rialto::hub
