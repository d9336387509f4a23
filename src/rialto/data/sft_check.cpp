// Findings and statistics of fine-tuning files.
#include "rialto/data/sft_check.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/hash.h"
#include "rialto/data/check_report.h"
#include "rialto/data/entropy.h"
#include "rialto/hub/special_tokens.h"

namespace rialto::data {
namespace {

/// Tokens that a template writes out, such as <|im_end|>: "<|", up to 40 letters, "|>".
std::set<std::string> markers_of(const std::string& text) {
  std::set<std::string> found;
  for (size_t at = text.find("<|"); at != std::string::npos; at = text.find("<|", at + 2)) {
    const size_t end = text.find("|>", at + 2);
    if (end == std::string::npos || end - at > 42) continue;
    const std::string_view inside = std::string_view(text).substr(at + 2, end - at - 2);
    if (!inside.empty() && inside.find_first_of("<>|\n {}'\"") == std::string_view::npos)
      found.insert(text.substr(at, end + 2 - at));
  }
  return found;
}

class Checker {
 public:
  Checker(const SftCheck& check, const SftEncoder& encoder) : check_(check), encoder_(encoder) {
    for (const std::string& token : encoder.tokenizer().special_tokens())
      if (const auto id = encoder.tokenizer().id_of(token)) special_.insert(*id);
    const Json named = hub::special_tokens(check.encoding.tokenizer);
    if (named.contains("bos_token")) bos_ = encoder.tokenizer().id_of(named["bos_token"].get<std::string>());
  }

  void bad(const std::string& what) {
    ++rows_;
    findings_.add("bad", what);
  }

  void row(const SftItem& item) {
    ++rows_;
    side(item.sample, item);
    if (item.rejected) {
      ++pairs_;
      side(*item.rejected, item);
    }
    if (item.left_out || item.cut)
      findings_.add("truncated", fmt::format("[{}] has {} tokens, more than {}", item.where, item.tokens_before_cut,
                                             check_.files.max_tokens));
    if (rows_ <= kLookedThrough && encoder_.ignores_tools(item.row))
      findings_.add("tools_ignored", fmt::format("[{}] has tools, which the template does not render", item.where));
    duplicate(item);
  }

  /// Findings that are of the tokenizer's folder, not of a row.
  void folder() {
    const fs::path& tokenizer = check_.encoding.tokenizer;
    std::vector<std::pair<std::string, size_t>> unknown;
    bool knows_some = false;
    const std::set<std::string> markers =
        encoder_.chat_template() ? markers_of(encoder_.chat_template()->source()) : std::set<std::string>{};
    for (const std::string& marker : markers) {
      const size_t pieces = encoder_.tokenizer().encode(marker, false).size();
      if (pieces > 1) unknown.emplace_back(marker, pieces);
      knows_some |= pieces == 1;
    }
    for (const auto& [marker, pieces] : unknown)
      if (knows_some)
        findings_.add("template", fmt::format("[{}] the template writes {}, which the tokenizer cuts into {} tokens",
                                              tokenizer.string(), marker, pieces));
    if (samples_ > 0 && !ends_)
      findings_.add("no_end", fmt::format("[{}] no answer ends with a special token: the model would not learn to stop",
                                          tokenizer.string()));
  }

  Json report() const {
    const double vocabulary = static_cast<double>(encoder_.tokenizer().vocab_size());
    return {{"rows", rows_},
            {"pairs", pairs_},
            {"tokens", tokens_},
            {"trained", trained_},
            {"weight", weight_},
            {"lengths", lengths_.report()},
            {"unigram_nats", counter_.entropy().nats_per_token},
            {"uniform_nats", std::log(vocabulary)},
            {"findings", findings_.counts()},
            {"listed", findings_.listed()}};
  }

 private:
  void side(const SftSample& sample, const SftItem& item) {
    ++samples_;
    const auto size = static_cast<int64_t>(sample.ids.size());
    lengths_.add(size);
    tokens_ += size;
    std::vector<int32_t> trained;
    for (size_t i = 0; i < sample.ids.size(); ++i) {
      if (sample.weights[i] <= 0) continue;
      trained.push_back(sample.ids[i]);
      weight_ += static_cast<double>(sample.weights[i]);
      const bool last = i + 1 == sample.ids.size() || sample.weights[i + 1] <= 0;
      if (last || check_.encoding.loss == LossMode::kFull) ends_ |= special_.contains(sample.ids[i]);
    }
    counter_.add(trained);
    trained_ += static_cast<int64_t>(trained.size());
    if (check_.encoding.loss != LossMode::kFull && trained.size() == sample.ids.size())
      findings_.add("all_trained", fmt::format("[{}] trains on every token", item.where));
    if (bos_ && size > 1 && sample.ids[0] == *bos_ && sample.ids[1] == *bos_)
      findings_.add("double_bos", fmt::format("[{}] begins with the BOS twice", item.where));
  }

  void duplicate(const SftItem& item) {
    Hasher hasher;
    for (const SftSample* sample : {&item.sample, item.rejected ? &*item.rejected : nullptr}) {
      if (!sample) continue;
      hasher.update(std::as_bytes(std::span(sample->ids)));
      hasher.update(std::as_bytes(std::span(sample->weights)));
    }
    const auto [seen, fresh] = seen_.try_emplace(hasher.hex(), rows_);
    if (!fresh) findings_.add("duplicates", fmt::format("[{}] is row {} again", item.where, seen->second));
  }

  static constexpr int64_t kLookedThrough = 1000;

  const SftCheck& check_;
  const SftEncoder& encoder_;
  std::set<int32_t> special_;
  std::optional<int32_t> bos_;
  int64_t rows_ = 0, pairs_ = 0, samples_ = 0, tokens_ = 0, trained_ = 0;
  double weight_ = 0;
  bool ends_ = false;
  LengthCounts lengths_;
  std::unordered_map<std::string, int64_t> seen_;
  UnigramCounter counter_;
  Findings findings_{check_.most_listed};
};

}  // namespace

Json check_sft(const SftCheck& check, FileOps& ops, Progress* progress) {
  const SftEncoder encoder(check.encoding);
  Checker checker(check, encoder);
  SftFiles files = check.files;
  files.pairs = true;
  if (files.truncation == Truncation::kRefuse) files.truncation = Truncation::kDrop;  // a finding, not an end
  std::unique_ptr<WriteFile> quarantine;
  const auto run = [&](const fs::path& path) {
    if (!path.empty()) quarantine = ops.create(path);
    read_sft(
        files, encoder, [&](const SftItem& item) { checker.row(item); },
        [&](const Error& error, const std::string& where, std::string_view line) {
          checker.bad(error.what());
          if (!quarantine) return;
          const std::string row = quarantine_line(error, where, line);
          quarantine->write(std::as_bytes(std::span(row)));
        },
        progress);
    if (!quarantine) return;
    quarantine->sync();
    quarantine->close();
  };
  if (check.quarantine.empty())
    run({});
  else
    replace_file(ops, check.quarantine, run);
  checker.folder();
  const Json report = checker.report();
  if (report["rows"] == 0)
    throw Error(ErrorKind::kInput, check.files.paths.front().string(), "has no rows", {.want = "a row in each line"});
  return report;
}

}  // namespace rialto::data
