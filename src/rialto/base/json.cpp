// Strict JSON: built from parser events, so that duplicate keys are seen and long objects cost linear time.
#include "rialto/base/json.h"

#include <algorithm>
#include <cstdio>
#include <unordered_set>
#include <vector>

#include "rialto/base/file_ops.h"

namespace rialto {

namespace {

constexpr size_t kMaxDepth = 256;

/// "name:line:column" of a byte position, columns and lines from 1.
std::string place(std::string_view where, std::string_view text, size_t position) {
  position = std::min(position, text.size());
  const std::string_view before = text.substr(0, position);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t newline = before.rfind('\n');
  const size_t column = newline == before.npos ? position + 1 : position - newline;
  return std::string(where) + ":" + std::to_string(line) + ":" + std::to_string(column);
}

/// Walks the text and tells how far the parser has read.
class Cursor {
 public:
  using difference_type = std::ptrdiff_t;
  using value_type = char;
  using pointer = const char*;
  using reference = const char&;
  using iterator_category = std::input_iterator_tag;

  Cursor(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}
  reference operator*() const { return *at_; }
  Cursor& operator++() {
    *furthest_ = ++at_;
    return *this;
  }
  Cursor operator++(int) {
    Cursor old = *this;
    ++*this;
    return old;
  }
  bool operator==(const Cursor& other) const { return at_ == other.at_; }
  bool operator!=(const Cursor& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** furthest_;
};

class Builder final : public nlohmann::json_sax<Json> {
 public:
  Builder(std::string_view text, std::string_view where, const char* const* furthest)
      : text_(text), where_(where), furthest_(furthest) {}

  Json take() { return std::move(root_); }

  bool null() override { return put(Json(nullptr)); }
  bool boolean(bool value) override { return put(Json(value)); }
  bool number_integer(number_integer_t value) override { return put(Json(value)); }
  bool number_unsigned(number_unsigned_t value) override { return put(Json(value)); }
  bool number_float(number_float_t value, const string_t& digits) override {
    // Whole numbers beyond 64 bits arrive here; only those that a double holds exactly are safe.
    if (digits.find_first_of(".eE") == std::string::npos) {
      char exact[512];
      std::snprintf(exact, sizeof exact, "%.0f", value);
      if (digits != exact) fail("a whole number does not fit 64 bits", digits);
    }
    return put(Json(value));
  }
  bool string(string_t& value) override { return put(Json(std::move(value))); }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override {
    open(Json::object());
    keys_.emplace_back();
    return true;
  }
  bool key(string_t& name) override {
    if (!keys_.back().insert(name).second) fail("duplicate key", "'" + name + "'");
    key_ = std::move(name);
    return true;
  }
  bool end_object() override {
    keys_.pop_back();
    stack_.pop_back();
    return true;
  }
  bool start_array(std::size_t) override {
    open(Json::array());
    return true;
  }
  bool end_array() override {
    stack_.pop_back();
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    std::string_view reason = error.what();
    if (const size_t colon = reason.find(": "); colon != reason.npos) reason.remove_prefix(colon + 2);
    throw Error(ErrorKind::kInput, place(where_, text_, position > 0 ? position - 1 : 0),
                "not valid JSON: " + std::string(reason.substr(0, 200)));
  }

 private:
  [[noreturn]] void fail(std::string_view what, std::string got) const {
    if (got.size() > 200) got = got.substr(0, 200) + "...";
    throw Error(ErrorKind::kInput, place(where_, text_, static_cast<size_t>(*furthest_ - text_.data())), what,
                {.got = got});
  }

  Json* store(Json&& value) {
    if (stack_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& parent = *stack_.back();
    if (parent.is_array()) {
      auto& items = parent.get_ref<Json::array_t&>();
      items.push_back(std::move(value));
      return &items.back();
    }
    // Appending as to a plain vector: the map's own insertion searches all keys again. key() has refused duplicates.
    std::vector<Json::object_t::value_type>& members = parent.get_ref<Json::object_t&>();
    members.emplace_back(std::move(key_), std::move(value));
    return &members.back().second;
  }
  bool put(Json&& value) {
    store(std::move(value));
    return true;
  }
  void open(Json&& container) {
    if (stack_.size() >= kMaxDepth) fail("nested too deeply", "more than " + std::to_string(kMaxDepth) + " levels");
    stack_.push_back(store(std::move(container)));
  }

  std::string_view text_, where_;
  const char* const* furthest_;
  Json root_;
  std::vector<Json*> stack_;  // a parent never grows while a child is open, so these stay valid
  std::vector<std::unordered_set<std::string>> keys_;
  std::string key_;
};

}  // namespace

Json parse_json(std::string_view text, std::string_view where) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const char* furthest = text.data();
  Builder builder(text, where, &furthest);
  const bool complete =
      Json::sax_parse(Cursor(text.data(), &furthest), Cursor(text.data() + text.size(), &furthest), &builder);
  if (!complete) throw Error(ErrorKind::kInput, where, "not valid JSON");
  return builder.take();
}

Json read_json_file(const std::filesystem::path& path, uint64_t max_bytes) {
  return parse_json(read_text_file(path, max_bytes), path.string());
}

}  // namespace rialto
