// Which pairs are merged; formats joins them.
#include "rialto/data/merge.h"

#include <regex>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/formats/indexed_merge.h"

namespace rialto::data {
namespace {

fs::path prefix_of(const std::string& input) {
  return input.ends_with(".idx") || input.ends_with(".bin") ? input.substr(0, input.size() - 4) : input;
}

/// Shards in a wrong order, or one left out, would make a corpus that looks right.
void check_shards(const std::vector<fs::path>& prefixes) {
  const std::regex shard("(.*)\\.([0-9]+)-of-([0-9]+)");
  std::smatch parts;
  const std::string first = prefixes.front().string();
  if (!std::regex_match(first, parts, shard)) return;
  const std::string stem = parts[1], count = parts[3];
  for (size_t i = 0; i < prefixes.size(); ++i) {
    const std::string want = fmt::format("{}.{:0{}}-of-{}", stem, i + 1, count.size(), count);
    if (prefixes[i] != want)
      throw Error(ErrorKind::kInput, "data merge", "shards are missing or out of order",
                  {.got = prefixes[i].string(), .want = want});
  }
  if (std::to_string(prefixes.size()) != std::to_string(std::stoull(count)))
    throw Error(ErrorKind::kInput, "data merge", "not all shards of " + stem + " are there",
                {.got = std::to_string(prefixes.size()), .want = count});
}

}  // namespace

Json merge(const std::vector<std::string>& inputs, const fs::path& output, bool overwrite, FileOps& ops,
           Progress* progress) {
  std::vector<fs::path> prefixes;
  for (const std::string& input : inputs) prefixes.push_back(prefix_of(input));
  if (prefixes.empty()) throw Error(ErrorKind::kUsage, "data merge", "nothing to merge");
  for (const fs::path& prefix : prefixes)
    if (fs::weakly_canonical(prefix) == fs::weakly_canonical(output))
      throw Error(ErrorKind::kConfig, output.string(), "is among the inputs", {.hint = "choose another prefix"});
  for (const char* ending : {".bin", ".idx"})
    if (const fs::path path = output.string() + ending; !overwrite && fs::exists(path))
      throw Error(ErrorKind::kConfig, path.string(), "already exists",
                  {.hint = "choose another prefix or add --overwrite"});
  check_shards(prefixes);
  if (output.has_parent_path()) ops.make_dirs(output.parent_path());
  const auto merged = formats::merge_indexed(ops, prefixes, output, {}, progress ? *progress : silent());
  return {{"prefix", output.string()}, {"documents", merged.documents}, {"tokens", merged.tokens}};
}

}  // namespace rialto::data
