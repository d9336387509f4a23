// Parser events of one line; only the text under the key is kept.
#include "rialto/data/json_row.h"

#include <unordered_set>
#include <vector>

#include "rialto/base/json.h"
#include "rialto/formats/utf8.h"

namespace rialto::data {
namespace {

constexpr size_t kMaxDepth = 256;

class RowHandler final : public nlohmann::json_sax<Json> {
 public:
  RowHandler(std::string_view line, const std::string& key, std::string& out) : line_(line), key_(key), out_(out) {}

  std::optional<RowFault> result() {
    if (fault_) return fault_;
    if (!object_) return RowFault{fault::kNotObject, "is not an object"};
    if (found_ == Found::kNothing)
      return RowFault{fault::kNoKey, "has no text under \"" + key_ + "\". Hint: name the key with --json-key"};
    if (found_ == Found::kNull) return RowFault{fault::kNull, "has null under \"" + key_ + "\""};
    if (found_ == Found::kOther)
      return RowFault{fault::kNotText, "has something under \"" + key_ + "\" that is no text"};
    return std::nullopt;
  }

  bool null() override { return put(Found::kNull); }
  bool boolean(bool) override { return put(Found::kOther); }
  bool number_integer(number_integer_t) override { return put(Found::kOther); }
  bool number_unsigned(number_unsigned_t) override { return put(Found::kOther); }
  bool number_float(number_float_t, const string_t&) override { return put(Found::kOther); }
  bool binary(binary_t&) override { return false; }
  bool string(string_t& value) override {
    if (here()) out_ = std::move(value);
    return put(Found::kText);
  }
  bool start_object(std::size_t) override {
    if (keys_.empty()) object_ = true;
    return open();
  }
  bool start_array(std::size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    wanted_ = name == key_;
    if (keys_.back().insert(name).second) return true;
    fault_ = RowFault{fault::kDuplicateKey, "has the key \"" + name.substr(0, 100) + "\" twice"};
    return false;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    std::string_view reason = error.what();
    if (const size_t colon = reason.find(": "); colon != reason.npos) reason.remove_prefix(colon + 2);
    const bool at_end = position > line_.size();
    RowFault found{fault::kNotJson, "not valid JSON: " + std::string(reason.substr(0, 200)), position};
    if (!formats::is_utf8(line_)) {
      found = {fault::kNotUtf8, "is not UTF-8"};
    } else if (error.id == 406) {
      found.kind = fault::kNumber;
    } else if (complete_) {
      found.kind = fault::kMoreValues;
    } else if (at_end) {
      found = {fault::kCutOff, "not valid JSON: it ends too early"};
    }
    fault_ = std::move(found);
    return false;
  }

 private:
  enum class Found { kNothing, kNull, kOther, kText };

  /// At the value of the wanted key of the row's own object.
  bool here() const { return wanted_ && object_ && keys_.size() == 1; }
  bool put(Found found) {
    if (here()) found_ = found;
    if (keys_.empty()) complete_ = true;
    return true;
  }
  bool open() {
    if (here()) found_ = Found::kOther;
    keys_.emplace_back();
    if (keys_.size() <= kMaxDepth) return true;
    fault_ = RowFault{fault::kTooDeep, "is nested more than " + std::to_string(kMaxDepth) + " levels deep"};
    return false;
  }
  bool close() {
    keys_.pop_back();
    if (keys_.empty()) complete_ = true;
    return true;
  }

  std::string_view line_;
  const std::string& key_;
  std::string& out_;
  std::optional<RowFault> fault_;
  std::vector<std::unordered_set<std::string>> keys_;  ///< of the containers around us; none in arrays
  Found found_ = Found::kNothing;
  bool wanted_ = false, object_ = false, complete_ = false;
};

}  // namespace

std::optional<RowFault> text_of_row(std::string_view line, const std::string& key, std::string& out) {
  RowHandler handler(line, key, out);
  Json::sax_parse(line.data(), line.data() + line.size(), &handler);
  return handler.result();
}

}  // namespace rialto::data
