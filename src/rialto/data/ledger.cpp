// Ledgers of consumed samples: entries, lines, comparisons.
#include "rialto/data/ledger.h"

#include <algorithm>
#include <array>
#include <span>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/hash.h"

namespace rialto::data {
namespace {

constexpr int64_t kProbes = 4096;
constexpr uint64_t kMostBytes = uint64_t{1} << 30;

std::string name_of(const Consumed& consumed) { return fs::path(consumed.source).filename().string(); }

/// "300 of a, 100 of b"
std::string shares(const std::vector<Consumed>& sources) {
  std::string text;
  for (const Consumed& source : sources)
    text += fmt::format("{}{} of {}", text.empty() ? "" : ", ", source.samples, name_of(source));
  return text;
}

bool same_shares(const std::vector<Consumed>& a, const std::vector<Consumed>& b) {
  return std::ranges::equal(
      a, b, [](const Consumed& x, const Consumed& y) { return name_of(x) == name_of(y) && x.samples == y.samples; });
}

LedgerEntry entry_of(const Json& json) {
  LedgerEntry entry{.iteration = json.at("iteration"), .samples = json.at("samples"), .order = json.at("order")};
  for (const Json& source : json.at("sources"))
    entry.sources.push_back({source.at("source"), source.at("samples"), source.at("tokens"), source.at("epochs")});
  return entry;
}

}  // namespace

LedgerEntry ledger_entry(const Dataset& dataset, int64_t iteration, int64_t samples) {
  return {iteration, samples, order_of(dataset, samples), dataset.consumed(samples)};
}

std::string order_of(const Dataset& dataset, int64_t samples) {
  Hasher hasher;
  const int64_t probes = std::min(samples, kProbes);
  for (int64_t probe = 0; probe < probes; ++probe) {
    const SampleStart start = dataset.start(probe * samples / probes);
    const std::array<int64_t, 3> numbers{start.source, start.document, start.offset};
    hasher.update(std::as_bytes(std::span(numbers)));
  }
  return hasher.hex();
}

std::optional<std::string> difference(const LedgerEntry& then, const LedgerEntry& now) {
  if (!same_shares(then.sources, now.sources))
    return fmt::format("its first {} samples were {}, and are now {}", then.samples, shares(then.sources),
                       shares(now.sources));
  if (then.order != now.order) return fmt::format("its first {} samples are not those that were read", then.samples);
  return std::nullopt;
}

Json to_json(const LedgerEntry& entry) {
  Json sources = Json::array();
  for (const Consumed& source : entry.sources)
    sources.push_back(
        {{"source", source.source}, {"samples", source.samples}, {"tokens", source.tokens}, {"epochs", source.epochs}});
  return {{"iteration", entry.iteration}, {"samples", entry.samples}, {"order", entry.order}, {"sources", sources}};
}

std::vector<LedgerEntry> read_ledger(const fs::path& path) {
  const std::string text = read_text_file(path, kMostBytes);
  std::vector<LedgerEntry> entries;
  for (size_t begin = 0, line = 1, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1, ++line) {
    const std::string where = fmt::format("{}:{}", path.string(), line);
    try {
      entries.push_back(entry_of(parse_json(text.substr(begin, end - begin), where)));
    } catch (const Json::exception& error) {
      throw Error(ErrorKind::kInput, where, "not an entry of a ledger",
                  {.got = error.what(), .want = {}, .hint = "delete the file; the next save starts a new one"});
    }
  }
  return entries;
}

}  // namespace rialto::data
