// Counts and findings of token files.
#include "rialto/data/token_check.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/hash.h"
#include "rialto/data/check_report.h"
#include "rialto/data/entropy.h"
#include "rialto/formats/indexed_dataset.h"
#include "rialto/hub/special_tokens.h"
#include "rialto/hub/tokenizer.h"

namespace rialto::data {
namespace {

constexpr size_t kMostPairs = size_t{1} << 20;
/// Text in any language and vocabulary lies far inside of these; so few tokens as a vocabulary has say nothing.
constexpr double kEven = 0.98, kOneToken = 0.3;

/// Entropy of a token given the one before it, of pairs that are counted while there are not too many.
class BigramCounter {
 public:
  void add(std::span<const int32_t> tokens) {
    for (size_t i = 1; i < tokens.size() && !given_up_; ++i) {
      ++pairs_[static_cast<uint64_t>(static_cast<uint32_t>(tokens[i - 1])) << 32 | static_cast<uint32_t>(tokens[i])];
      ++firsts_[tokens[i - 1]];
      ++total_;
      given_up_ = pairs_.size() > kMostPairs;
    }
    if (given_up_) pairs_.clear();
  }
  std::optional<double> nats() const {
    if (given_up_ || total_ == 0) return std::nullopt;
    double sum = 0;
    for (const auto& [pair, count] : pairs_) {
      const double before = static_cast<double>(firsts_.at(static_cast<int32_t>(pair >> 32)));
      sum -= static_cast<double>(count) * std::log(static_cast<double>(count) / before);
    }
    return sum / static_cast<double>(total_);
  }

 private:
  std::unordered_map<uint64_t, int64_t> pairs_;
  std::unordered_map<int32_t, int64_t> firsts_;
  int64_t total_ = 0;
  bool given_up_ = false;
};

class Checker {
 public:
  explicit Checker(const TokenCheck& check) : check_(check) {
    if (check.tokenizer.empty()) return;
    vocabulary_ = hub::Tokenizer(check.tokenizer).vocab_size();
    const fs::path folder = fs::is_directory(check.tokenizer) ? check.tokenizer : check.tokenizer.parent_path();
    if (const auto token = hub::eos_token(folder)) end_ = hub::Tokenizer(check.tokenizer).id_of(*token);
  }

  void file(const fs::path& prefix, Progress& told) {
    const formats::IndexedDataset data(prefix);
    const auto lengths = data.lengths();
    const auto bounds = data.document_indices();
    told.begin("documents", static_cast<uint64_t>(data.num_tokens()), "tokens");
    const int64_t before = tokens_;
    std::vector<int64_t> endless;
    bool some_end = false;
    std::vector<int32_t> tokens;
    for (size_t document = 0; document + 1 < bounds.size(); ++document) {
      check_cancelled(told, "data check");
      tokens.clear();
      for (int64_t sequence = bounds[document]; sequence < bounds[document + 1]; ++sequence) {
        const size_t begin = tokens.size();
        tokens.resize(begin + static_cast<size_t>(lengths[static_cast<size_t>(sequence)]));
        data.read(sequence, 0, std::span(tokens).subspan(begin));
      }
      const auto number = static_cast<int64_t>(document);
      this->document(prefix, number, tokens);
      if (end_ && !tokens.empty()) {
        some_end |= tokens.back() == *end_;
        if (tokens.back() != *end_) endless.push_back(number);
      }
      told.update(static_cast<uint64_t>(tokens_ - before));
    }
    told.end();
    if (some_end)
      for (const int64_t number : endless) find("no_end", prefix, number, "does not end with the end of text");
    else if (!endless.empty())
      findings_.add("no_end", fmt::format("[{}] no document ends with the tokenizer's end of text", prefix.string()));
  }

  Json report() {
    const UnigramEntropy unigram = unigrams_.entropy();
    const double uniform =
        std::log(static_cast<double>(std::max<int64_t>(vocabulary_ > 0 ? vocabulary_ : largest_ + 1, 1)));
    if (unigram.tokens > 10 * std::max<int64_t>(vocabulary_, largest_ + 1)) {
      if (unigram.nats_per_token > kEven * uniform)
        findings_.add("expected_loss",
                      fmt::format("[tokens] are spread evenly: their frequencies alone give {:.3f} nats a "
                                  "token, an untrained model {:.3f}; is that text, of that tokenizer?",
                                  unigram.nats_per_token, uniform));
      if (unigram.nats_per_token < kOneToken)
        findings_.add("expected_loss",
                      fmt::format("[tokens] are nearly all the same: their frequencies alone give {:.3f} nats a token",
                                  unigram.nats_per_token));
    }
    Json report{
        {"documents", documents_},        {"tokens", tokens_},           {"distinct_tokens", unigram.distinct},
        {"lengths", lengths_.report()},   {"uniform_nats", uniform},     {"unigram_nats", unigram.nats_per_token},
        {"findings", findings_.counts()}, {"listed", findings_.listed()}};
    if (const auto nats = bigrams_.nats()) report["bigram_nats"] = *nats;
    return report;
  }

 private:
  void document(const fs::path& prefix, int64_t number, std::vector<int32_t>& tokens) {
    ++documents_;
    const auto length = static_cast<int64_t>(tokens.size());
    tokens_ += length;
    lengths_.add(length);
    const bool only_end = length == 1 && end_ && tokens[0] == *end_;
    if (length == 0 || only_end) {
      find("empty", prefix, number, only_end ? "holds an end of text alone" : "holds no token");
    } else {
      Hasher hasher;
      hasher.update(std::as_bytes(std::span(tokens)));
      const auto [seen, fresh] =
          seen_.try_emplace(std::stoull(hasher.hex().substr(0, 16), nullptr, 16), std::pair(&prefix, number));
      if (!fresh)
        find("duplicates", prefix, number,
             fmt::format("is document {} of {} again", seen->second.second, seen->second.first->string()));
    }
    const auto foreign = [&](int32_t id) { return id < 0 || (vocabulary_ > 0 && id >= vocabulary_); };
    const auto first = std::ranges::find_if(tokens, foreign);
    if (first == tokens.end()) {
      add(tokens);
      return;
    }
    find("out_of_vocabulary", prefix, number,
         fmt::format("has id {} at token {}, and {} such in all; the tokenizer has 0 to {}", *first,
                     first - tokens.begin(), std::ranges::count_if(tokens, foreign),
                     vocabulary_ > 0 ? vocabulary_ - 1 : 0x7fffffff));
    std::erase_if(tokens, foreign);
    add(tokens);
  }

  void add(std::span<const int32_t> tokens) {
    for (const int32_t id : tokens) largest_ = std::max<int64_t>(largest_, id);
    unigrams_.add(tokens);
    bigrams_.add(tokens);
  }

  void find(const char* kind, const fs::path& prefix, int64_t number, const std::string& what) {
    findings_.add(kind, fmt::format("[{} document {}] {}", prefix.string(), number, what));
  }
  const TokenCheck& check_;
  int64_t vocabulary_ = 0;  ///< 0: any
  std::optional<int32_t> end_;
  int64_t documents_ = 0, tokens_ = 0, largest_ = 0;
  LengthCounts lengths_;
  std::unordered_map<uint64_t, std::pair<const fs::path*, int64_t>> seen_;
  UnigramCounter unigrams_;
  BigramCounter bigrams_;
  Findings findings_{check_.most_listed};
};

}  // namespace

Json check_tokens(const TokenCheck& check, Progress* progress) {
  Checker checker(check);
  for (const fs::path& prefix : check.prefixes) checker.file(prefix, progress ? *progress : silent());
  return checker.report();
}

fs::path token_prefix(const fs::path& path) {
  const fs::path prefix =
      path.extension() == ".idx" || path.extension() == ".bin" ? fs::path(path).replace_extension() : path;
  return fs::exists(prefix.string() + ".idx") ? prefix : fs::path();
}

}  // namespace rialto::data
