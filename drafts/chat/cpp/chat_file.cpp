// Rows of chat files, one after the other.
#include "rialto/data/chat_file.h"

#include <algorithm>
#include <unordered_set>

#include "rialto/base/error.h"
#include "rialto/base/hash.h"
#include "rialto/data/line_reader.h"

namespace rialto::data {
namespace {

/// Calls `row` with each line that is not empty, until it returns false.
void each_line(const std::vector<fs::path>& paths,
               const std::function<bool(std::string_view line, const std::string& where, uint64_t bytes)>& row) {
  uint64_t before = 0;
  for (const fs::path& path : paths) {
    LineReader lines(path);
    for (std::string_view line; lines.next(line);) {
      if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
      if (!row(line, lines.where(), before + lines.bytes_read())) return;
    }
    before += lines.bytes_read();
  }
}

class Reader {
 public:
  explicit Reader(const ChatFiles& files) : chat_(files.tokenizer), tokenizer_(files.tokenizer), loss_(files.loss) {}
  ChatTokens read(std::string_view line, const std::string& where) const {
    return chat_tokens(chat_, tokenizer_, conversation_of(parse_json(line, where), where), loss_, where);
  }

 private:
  hub::ChatTemplate chat_;
  hub::Tokenizer tokenizer_;
  LossMode loss_;
};

class Checker {
 public:
  Checker(LossMode loss, const ChatCheck& check) : loss_(loss), check_(check) {}

  void bad(const std::string& what) {
    ++bad_;
    fault(what);
  }
  void row(const ChatTokens& row, const std::string& where) {
    const auto size = static_cast<int64_t>(row.ids.size());
    const auto trained = static_cast<int64_t>(std::ranges::count(row.trained, 1));
    tokens_ += size;
    trained_ += trained;
    longest_ = std::max(longest_, size);
    if (loss_ != LossMode::kFull && trained == size && ++all_trained_) fault("[" + where + "] trains on every token");
    if (check_.seq_length > 0 && size > check_.seq_length && ++too_long_)
      fault("[" + where + "] has " + std::to_string(size) + " tokens");
    if (!seen_.insert(hash_hex(std::as_bytes(std::span(row.text)))).second && ++duplicates_)
      fault("[" + where + "] stood there before");
  }
  Json report(int64_t rows) const {
    return {{"rows", rows},         {"tokens", tokens_},           {"trained", trained_},       {"longest", longest_},
            {"too_long", too_long_}, {"all_trained", all_trained_}, {"duplicates", duplicates_}, {"bad", bad_},
            {"faults", faults_}};
  }

 private:
  void fault(const std::string& what) {
    if (faults_.size() < check_.most_listed) faults_.push_back(what);
  }

  LossMode loss_;
  ChatCheck check_;
  int64_t tokens_ = 0, trained_ = 0, longest_ = 0, too_long_ = 0, all_trained_ = 0, duplicates_ = 0, bad_ = 0;
  std::unordered_set<std::string> seen_;
  Json faults_ = Json::array();
};

}  // namespace

void view_chats(const ChatFiles& files, int64_t first, int64_t count,
                const std::function<void(const std::string&, const ChatTokens&)>& show) {
  const Reader reader(files);
  int64_t number = 0;
  each_line(files.paths, [&](std::string_view line, const std::string& where, uint64_t) {
    if (number >= first + count) return false;
    if (number++ >= first) show(where, reader.read(line, where));
    return true;
  });
}

Json check_chats(const ChatFiles& files, const ChatCheck& check, Progress* progress) {
  const Reader reader(files);
  Progress& told = progress ? *progress : silent();
  uint64_t bytes = 0;
  for (const fs::path& path : files.paths) bytes += ReadFile(path).size();
  told.begin("rows", bytes, "bytes");
  Checker checker(files.loss, check);
  int64_t rows = 0;
  each_line(files.paths, [&](std::string_view line, const std::string& where, uint64_t done) {
    check_cancelled(told, "data check");
    ++rows;
    try {
      checker.row(reader.read(line, where), where);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) throw;
      checker.bad(error.what());
    }
    told.update(done);
    return true;
  });
  told.end();
  return checker.report(rows);
}

}  // namespace rialto::data
