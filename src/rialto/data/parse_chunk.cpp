// Lines, rows and whole texts to documents.
#include "rialto/data/parse_chunk.h"

#include "rialto/formats/utf8.h"

namespace rialto::data {
namespace {

constexpr size_t kKeptBytes = 1u << 20;

class Parser {
 public:
  Parser(const TextChunk& chunk, ParsedChunk& out) : chunk_(chunk), out_(out), row_(chunk.first_row) {}

  void json_lines(const std::string& key) {
    const std::string_view bytes = chunk_.bytes;
    std::string text;
    for (size_t begin = 0; begin < bytes.size(); ++row_) {
      const size_t end = std::min(bytes.find('\n', begin), bytes.size());
      std::string_view line = bytes.substr(begin, end - begin);
      begin = end + 1;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.find_first_not_of(" \t") == std::string_view::npos) continue;  // as at the end of many files
      if (auto fault = text_of_row(line, key, text))
        bad(std::move(*fault), line);
      else
        give(std::move(text));
      text.clear();
    }
  }

  void rows() {
    std::string_view rest = chunk_.bytes;
    for (const int64_t length : chunk_.lengths) {
      const std::string_view text = rest.substr(0, length < 0 ? 0 : static_cast<size_t>(length));
      rest.remove_prefix(text.size());
      if (length < 0)
        bad({fault::kNull, "is null"}, {});
      else if (text.size() > kMaxDocumentBytes)
        too_long(text);
      else if (!formats::is_utf8(text))
        bad({fault::kNotUtf8, "is not UTF-8"}, text);
      else
        give(std::string(text));
      ++row_;
    }
  }

  void whole_text() {
    if (!formats::is_utf8(chunk_.bytes)) {
      ++out_.skipped["not UTF-8"];
      out_.read = false;
      return;
    }
    give(chunk_.bytes);
  }

  void too_long(std::string_view text) {
    const bool file = chunk_.piece->file.form == TextFile::Form::kText;
    bad({fault::kTooLong, (file ? "is one document and too long for that; want at most "
                                : "is longer than a document may be; want at most ") +
                              std::to_string(kMaxDocumentBytes) + " bytes" +
                              (file ? ". Hint: make it JSONL, a document a line" : "")},
        text);
  }

 private:
  void bad(RowFault fault, std::string_view row) {
    out_.bad.push_back({chunk_.piece, row_, std::move(fault), std::string(row.substr(0, kKeptBytes))});
  }
  void give(std::string text) {
    if (text.empty()) {
      ++out_.skipped["empty"];
      return;
    }
    out_.text_bytes += text.size();
    out_.texts.push_back(std::move(text));
  }

  const TextChunk& chunk_;
  ParsedChunk& out_;
  uint64_t row_;
};

}  // namespace

ParsedChunk parse_chunk(const TextChunk& chunk, const std::string& json_key) {
  ParsedChunk out;
  out.read = chunk.begins_file;
  Parser parser(chunk, out);
  if (chunk.too_long)
    parser.too_long(chunk.bytes);
  else if (chunk.piece->file.form == TextFile::Form::kJsonLines)
    parser.json_lines(json_key);
  else if (chunk.piece->file.form == TextFile::Form::kParquet)
    parser.rows();
  else
    parser.whole_text();
  return out;
}

}  // namespace rialto::data
