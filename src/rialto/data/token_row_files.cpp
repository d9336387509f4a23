// Chunks of lines, parsed by all threads.
#include "rialto/data/token_row_files.h"

#include <limits>

#include "rialto/base/error.h"
#include "rialto/base/json.h"
#include "rialto/base/ordered_pipeline.h"
#include "rialto/base/parallel.h"
#include "rialto/data/bad_rows.h"

namespace rialto::data {
namespace {

struct PlacedRow {
  TokenRow row;
  std::string where;
};

template <class T>
std::vector<T> integers(const Json& row, const char* key, const std::string& where, int64_t most) {
  const auto list = row.is_object() ? row.find(key) : row.end();
  if (!row.is_object() || list == row.end() || !list->is_array())
    throw Error(ErrorKind::kInput, where, std::string("has no list \"") + key + "\"",
                {.want = "{\"input_ids\": [...], \"loss_mask\": [...]}"});
  std::vector<T> values;
  values.reserve(list->size());
  for (const Json& item : *list) {
    const int64_t value = item.is_boolean()          ? static_cast<int64_t>(item.get<bool>())
                          : item.is_number_integer() ? item.get<int64_t>()
                                                     : -1;
    if (value < 0 || value > most)
      throw Error(ErrorKind::kInput, where, std::string("\"") + key + "\" holds something that does not belong there",
                  {.got = item.dump(), .want = "0 to " + std::to_string(most)});
    values.push_back(static_cast<T>(value));
  }
  return values;
}

std::vector<PlacedRow> parse(const TextChunk& chunk) {
  std::vector<PlacedRow> rows;
  const std::string_view bytes = chunk.bytes;
  uint64_t number = chunk.first_row;
  for (size_t begin = 0; begin < bytes.size(); ++number) {
    const size_t end = std::min(bytes.find('\n', begin), bytes.size());
    const std::string_view line = bytes.substr(begin, end - begin);
    begin = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string where = where_of({.piece = chunk.piece, .row = number, .fault = {}, .bytes = {}});
    if (chunk.too_long) throw Error(ErrorKind::kInput, where, "is longer than a row may be");
    const Json row = parse_json(line, where);
    rows.push_back({{integers<int32_t>(row, "input_ids", where, std::numeric_limits<int32_t>::max()),
                     integers<uint8_t>(row, "loss_mask", where, 1)},
                    where});
  }
  return rows;
}

}  // namespace

void read_token_row_files(const TextSource& source, size_t threads,
                          const std::function<void(TokenRow, const std::string&)>& take, Progress& told) {
  SkipCounts skipped;
  const std::vector<TextPiece> pieces = pieces_of(list_text_files(source, skipped), {});
  for (const TextPiece& piece : pieces)
    if (piece.file.form != TextFile::Form::kJsonLines)
      throw Error(ErrorKind::kInput, piece.file.path.string(), "is not a .jsonl file of tokenised rows");
  ChunkReader reader(pieces, "");
  struct Parsed {
    std::vector<PlacedRow> rows = {};
    uint64_t read_bytes = 0;
  };
  told.begin("read rows", reader.total_bytes(), "bytes");
  OrderedPipeline<TextChunk, Parsed>::run(
      threads > 0 ? threads : available_threads(), [&](TextChunk& chunk) { return reader.next(chunk); },
      [](TextChunk& chunk) { return Parsed{parse(chunk), chunk.read_bytes}; },
      [&](Parsed& parsed) {
        check_cancelled(told, "data pack");
        for (PlacedRow& row : parsed.rows) take(std::move(row.row), row.where);
        told.update(parsed.read_bytes);
      });
  told.end();
}

}  // namespace rialto::data
