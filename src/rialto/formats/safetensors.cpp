// safetensors headers are parsed by events: only the one structure that is allowed is ever built.
#include "rialto/formats/safetensors.h"

#include <algorithm>
#include <tuple>
#include <unordered_set>

#include "rialto/base/error.h"
#include "rialto/base/json.h"
#include "rialto/formats/bytes.h"

namespace rialto::formats {

namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the bound of the reference implementation
constexpr size_t kMaxDims = 64;

/// {"name": {"dtype": text, "shape": [n...], "data_offsets": [n, n]}, "__metadata__": {text: text}} and nothing else.
class HeaderParser final : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderParser(std::string where) : where_(std::move(where)) {}

  SafetensorsHeader header;

  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("true or false"); }
  bool number_integer(number_integer_t) override { unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { unexpected("a number with a fraction"); }
  bool binary(binary_t&) override { unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (state_ == State::kShape) {
      if (entry_.shape.size() == kMaxDims) fail("too many dimensions");
      if (value > static_cast<uint64_t>(INT64_MAX)) fail("a size does not fit 63 bits");
      entry_.shape.push_back(static_cast<int64_t>(value));
    } else if (state_ == State::kOffsets) {
      if (num_offsets_ == 2) fail("more than two data_offsets");
      (num_offsets_++ == 0 ? entry_.begin : entry_.end) = value;
    } else {
      unexpected("a number");
    }
    return true;
  }

  bool string(string_t& value) override {
    if (state_ == State::kMetadata) {
      if (!header.metadata.emplace(key_, std::move(value)).second) fail("duplicate metadata key '" + key_ + "'");
    } else if (state_ == State::kTensor && key_ == "dtype") {
      const auto dtype = dtype_from_safetensors(value);
      if (!dtype) {
        throw Error(ErrorKind::kInput, where_, about() + "has a dtype that is not known",
                    {.got = "'" + value.substr(0, 64) + "'"});
      }
      entry_.dtype = *dtype;
    } else {
      unexpected("a text");
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (state_ == State::kStart) {
      state_ = State::kTop;
    } else if (state_ == State::kTop) {
      state_ = key_ == "__metadata__" ? State::kMetadata : State::kTensor;
    } else {
      unexpected("an object");
    }
    return true;
  }

  bool key(string_t& name) override {
    if (state_ == State::kTop) {
      if (!names_.insert(name).second) fail("the name '" + name.substr(0, 200) + "' stands twice in the header");
      entry_ = {};
      entry_.name = name;
      seen_ = 0;
      num_offsets_ = 0;
    } else if (state_ == State::kTensor) {
      const unsigned bit = name == "dtype" ? 1 : name == "shape" ? 2 : name == "data_offsets" ? 4 : 0;
      if (bit == 0) fail("has an unknown member '" + name.substr(0, 64) + "'");
      if (seen_ & bit) fail("has '" + name + "' twice");
      seen_ |= bit;
    }
    key_ = std::move(name);
    return true;
  }

  bool start_array(std::size_t) override {
    if (state_ == State::kTensor && key_ == "shape")
      state_ = State::kShape;
    else if (state_ == State::kTensor && key_ == "data_offsets")
      state_ = State::kOffsets;
    else
      unexpected("a list");
    return true;
  }

  bool end_array() override {
    if (state_ == State::kOffsets && num_offsets_ != 2) fail("needs two data_offsets");
    state_ = State::kTensor;
    return true;
  }

  bool end_object() override {
    if (state_ == State::kTensor) {
      if (seen_ != 7) fail("needs dtype, shape and data_offsets");
      header.entries.push_back(std::move(entry_));
      state_ = State::kTop;
    } else if (state_ == State::kMetadata) {
      state_ = State::kTop;
    }
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    throw Error(ErrorKind::kInput, where_, "the header is not valid JSON at its byte " + std::to_string(position),
                {.hint = "not a safetensors file, or a damaged one"});
  }

 private:
  enum class State { kStart, kTop, kMetadata, kTensor, kShape, kOffsets };

  std::string about() const { return state_ == State::kTop || state_ == State::kStart ? "" : "'" + entry_.name + "' "; }
  [[noreturn]] void fail(const std::string& what) const { throw Error(ErrorKind::kInput, where_, about() + what); }
  [[noreturn]] void unexpected(std::string_view what) const {
    throw Error(ErrorKind::kInput, where_, about() + "has " + std::string(what) + " where none belongs in the header");
  }

  std::string where_;
  State state_ = State::kStart;
  SafetensorsEntry entry_;
  std::string key_;
  unsigned seen_ = 0;
  int num_offsets_ = 0;
  std::unordered_set<std::string> names_;
};

uint64_t bytes_of(const SafetensorsEntry& entry, std::string_view where) {
  int64_t bytes = 0;
  try {
    if (!__builtin_mul_overflow(num_elements(entry.shape), static_cast<int64_t>(size_of(entry.dtype)), &bytes)) {
      return static_cast<uint64_t>(bytes);
    }
  } catch (const Error&) {
  }
  throw Error(ErrorKind::kInput, where, "'" + entry.name + "' has a shape too large to exist",
              {.got = to_text(entry.shape)});
}

void check_layout(const SafetensorsHeader& header, uint64_t data_bytes, const std::string& where) {
  uint64_t end = 0;
  for (const SafetensorsEntry& entry : header.entries) {
    const std::string name = "'" + entry.name + "'";
    if (entry.begin > entry.end) throw Error(ErrorKind::kInput, where, name + " ends before it begins");
    const uint64_t bytes = bytes_of(entry, where);
    if (entry.size() != bytes) {
      throw Error(ErrorKind::kInput, where, name + " has offsets that do not fit its shape",
                  {.got = std::to_string(entry.size()) + " bytes",
                   .want = std::to_string(bytes) + " for " + std::string(safetensors_name(entry.dtype)) + " " +
                           to_text(entry.shape)});
    }
    if (entry.end > data_bytes) {
      throw Error(
          ErrorKind::kInput, where,
          name + " ends at data byte " + std::to_string(entry.end) + "; the file has " + std::to_string(data_bytes),
          {.hint = "incomplete download?"});
    }
    if (entry.begin < end) throw Error(ErrorKind::kInput, where, name + " overlaps the tensor before it");
    if (entry.begin > end) {
      throw Error(ErrorKind::kInput, where,
                  "bytes " + std::to_string(end) + " to " + std::to_string(entry.begin) + " before " + name +
                      " belong to no tensor");
    }
    end = entry.end;
  }
  if (end != data_bytes) {
    throw Error(ErrorKind::kInput, where,
                std::to_string(data_bytes - end) + " bytes after the last tensor belong to none");
  }
}

}  // namespace

SafetensorsHeader read_safetensors_header(const ReadFile& file) {
  const std::string where = file.path().string();
  if (file.size() < 8)
    throw Error(ErrorKind::kInput, where, "too short for a safetensors file",
                {.got = std::to_string(file.size()) + " bytes"});
  std::byte prefix[8];
  file.read_at(0, prefix);
  const auto length = load<uint64_t>(prefix);
  if (length > kMaxHeaderBytes) {
    throw Error(ErrorKind::kInput, where, "the header claims to be too long",
                {.got = std::to_string(length) + " bytes",
                 .want = "at most " + std::to_string(kMaxHeaderBytes),
                 .hint = "not a safetensors file?"});
  }
  if (length > file.size() - 8) {
    throw Error(ErrorKind::kInput, where, "the header is longer than the file",
                {.got = std::to_string(length) + " bytes",
                 .want = "at most " + std::to_string(file.size() - 8),
                 .hint = "incomplete download?"});
  }
  std::string text(length, '\0');
  file.read_at(8, as_writable_bytes(text));
  if (!text.starts_with('{'))
    throw Error(ErrorKind::kInput, where, "the header does not begin with '{'", {.hint = "not a safetensors file?"});
  HeaderParser parser(where);
  if (!Json::sax_parse(text, &parser)) throw Error(ErrorKind::kInput, where, "the header is not valid JSON");
  SafetensorsHeader header = std::move(parser.header);
  header.data_start = 8 + length;
  std::sort(header.entries.begin(), header.entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  check_layout(header, file.size() - header.data_start, where);
  return header;
}

std::string make_safetensors_header(std::vector<SafetensorsEntry>& entries,
                                    const std::map<std::string, std::string>& metadata) {
  const auto quoted = [](const std::string& text) { return to_python_json(Json(text), -1); };
  std::string json = "{";
  if (!metadata.empty()) {
    json += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      if (json.back() != '{') json += ',';
      json += quoted(key) + ":" + quoted(value);
    }
    json += '}';
  }
  std::unordered_set<std::string_view> names = {"__metadata__"};
  uint64_t at = 0;
  for (SafetensorsEntry& entry : entries) {
    if (!names.insert(entry.name).second) {
      throw Error(ErrorKind::kInternal, "safetensors", "the name '" + entry.name + "' cannot be written twice");
    }
    entry.begin = at;
    entry.end = at += bytes_of(entry, "safetensors");
    if (json.size() > 1) json += ',';
    json += quoted(entry.name) + ":{\"dtype\":\"" + std::string(safetensors_name(entry.dtype)) + "\",\"shape\":[";
    for (size_t i = 0; i < entry.shape.size(); ++i) json += (i ? "," : "") + std::to_string(entry.shape[i]);
    json += "],\"data_offsets\":[" + std::to_string(entry.begin) + "," + std::to_string(entry.end) + "]}";
  }
  json += '}';
  json.append((8 - json.size() % 8) % 8, ' ');
  if (json.size() > kMaxHeaderBytes) throw Error(ErrorKind::kInternal, "safetensors", "too many tensors for one file");
  std::string header;
  append_le<uint64_t>(header, json.size());
  return header + json;
}

void write_safetensors(FileOps& ops, const fs::path& path, std::vector<SafetensorsEntry> entries,
                       const std::map<std::string, std::string>& metadata,
                       const std::function<void(size_t, const ByteSink&)>& fill) {
  const std::string header = make_safetensors_header(entries, metadata);
  const auto file = ops.create(path);
  file->write(as_bytes(header));
  for (size_t i = 0; i < entries.size(); ++i) {
    uint64_t written = 0;
    const ByteSink sink = [&](std::span<const std::byte> bytes) {
      written += bytes.size();
      if (written > entries[i].size()) {
        throw Error(ErrorKind::kInternal, path.string(),
                    "'" + entries[i].name + "' was given more bytes than its shape holds");
      }
      file->write(bytes);
    };
    fill(i, sink);
    if (written != entries[i].size()) {
      throw Error(ErrorKind::kInternal, path.string(), "'" + entries[i].name + "' was given too few bytes",
                  {.got = std::to_string(written), .want = std::to_string(entries[i].size())});
    }
  }
  file->sync();
  file->close();
}

}  // namespace rialto::formats
