// Splits by file name and by dataset card. Source of names: Megatron Bridge, FinetuningDatasetBuilder; Hugging Face
// datasets, "Structure your repository".
#include "rialto/data/sft_parts.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include "rialto/base/error.h"
#include "rialto/base/schema.h"

namespace rialto::data {
namespace {

constexpr std::array<std::string_view, 4> kEndings{".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"};
constexpr std::array<std::string_view, 3> kBridgeNames{"training", "validation", "test"};

/// The names that the hub's tools know a split by.
const std::vector<std::string_view>& split_names(Part part) {
  static const std::array<std::vector<std::string_view>, 3> names{
      std::vector<std::string_view>{"train", "training"}, {"validation", "valid", "val", "dev"}, {"test"}};
  return names[static_cast<size_t>(part)];
}

bool is_row_file(const std::string& name) {
  return std::ranges::any_of(kEndings, [&](std::string_view ending) { return name.ends_with(ending); });
}

/// Row files in a folder, or below it, as paths relative to `root` in byte order.
std::vector<std::string> row_files(const fs::path& root) {
  std::vector<std::string> files;
  for (auto at = fs::recursive_directory_iterator(root, fs::directory_options::skip_permission_denied);
       at != fs::recursive_directory_iterator(); ++at) {
    const std::string relative = at->path().lexically_relative(root).generic_string();
    if (at->path().filename().string().starts_with('.')) {
      if (at->is_directory()) at.disable_recursion_pending();
      continue;
    }
    if (at->is_regular_file() && is_row_file(relative)) files.push_back(relative);
  }
  std::ranges::sort(files);
  return files;
}

std::vector<fs::path> bridge_files(const fs::path& root, Part part) {
  std::vector<fs::path> found;
  for (const std::string_view ending : kEndings) {
    const fs::path path = root / fmt::format("{}{}", kBridgeNames[static_cast<size_t>(part)], ending);
    if (fs::exists(path)) found.push_back(path);
  }
  if (found.size() > 1)
    throw Error(ErrorKind::kInput, root.string(), "has the same part twice",
                {.got = fmt::format("{} and {}", found[0].filename().string(), found[1].filename().string()),
                 .want = "one of them",
                 .hint = {}});
  return found;
}

/// The lines of README.md between its first two of "---", as YAML; none where there are no such.
std::optional<Node> card_of(const fs::path& root) {
  std::ifstream in(root / "README.md");
  std::string line, text;
  const auto is_mark = [&] { return line == "---" || line == "---\r"; };
  if (!std::getline(in, line) || !is_mark()) return std::nullopt;
  while (std::getline(in, line)) {
    if (is_mark()) {
      try {
        return parse_yaml(text, (root / "README.md").string());
      } catch (const Error& error) {
        throw Error(ErrorKind::kInput, (root / "README.md").string(), error.what());
      }
    }
    text += line + "\n";
  }
  return std::nullopt;
}

[[noreturn]] void bad_card(const fs::path& root, std::string_view what, const ErrorParts& parts = {}) {
  throw Error(ErrorKind::kInput, (root / "README.md").string(), what, parts);
}

std::string text_of(const Node* node) { return node && node->kind == Node::Kind::kString ? node->text : ""; }

/// One text, or a list of texts.
std::vector<std::string> texts_of(const Node& node, const fs::path& root) {
  std::vector<std::string> texts;
  if (node.kind == Node::Kind::kString) texts.push_back(node.text);
  if (node.kind == Node::Kind::kList)
    for (const Node& item : node.items) texts.push_back(text_of(&item));
  if (texts.empty() || std::ranges::count(texts, "") > 0) bad_card(root, "a path of data_files is no text");
  return texts;
}

/// The entry of `configs:` that `subset` means; none where the card has no such list.
const Node* chosen_config(const Node& card, const std::string& subset, const fs::path& root) {
  const Node* configs = card.kind == Node::Kind::kMap ? card.find("configs") : nullptr;
  std::vector<std::string> names;
  const Node* chosen = nullptr;
  if (configs && configs->kind == Node::Kind::kList) {
    for (const Node& config : configs->items) {
      if (config.kind != Node::Kind::kMap) bad_card(root, "an entry of configs is no map");
      const std::string name = config.find("config_name") ? text_of(config.find("config_name")) : "default";
      names.push_back(name);
      const Node* is_default = config.find("default");
      const bool wanted = subset.empty()
                              ? configs->items.size() == 1 || name == "default" ||
                                    (is_default && is_default->kind == Node::Kind::kBool && read_bool(*is_default))
                              : name == subset;
      if (wanted && !chosen) chosen = &config;
    }
  }
  if (!chosen && (!subset.empty() || !names.empty()))
    throw Error(ErrorKind::kConfig, "dataset.dataset_subset",
                subset.empty() ? "several subsets, none the default" : "no such subset",
                {.got = subset.empty() ? "unset" : subset,
                 .want = names.empty() ? fmt::format("a name under configs: in {}", (root / "README.md").string())
                                       : fmt::format("{}", fmt::join(names, ", ")),
                 .hint = {}});
  return chosen;
}

/// What a pattern of a card matches: `*` within a name, `**` across folders.
std::vector<fs::path> matches(const fs::path& root, const std::vector<std::string>& files, const std::string& pattern) {
  if (pattern.starts_with('/') || pattern.find("..") != pattern.npos)
    bad_card(root, "data_files names something outside the folder", {.got = pattern});
  const int flags = pattern.find("**") == pattern.npos ? FNM_PATHNAME : 0;
  std::vector<fs::path> found;
  for (const std::string& file : files)
    if (::fnmatch(pattern.c_str(), file.c_str(), flags) == 0) found.push_back(root / file);
  if (found.empty())
    bad_card(root, "data_files names something that is not there",
             {.got = pattern, .want = "files that end in .jsonl, .jsonl.gz, .jsonl.zst or .parquet"});
  return found;
}

/// data_files of a card: patterns for training alone, {split: patterns}, or a list of {split, path}.
std::vector<fs::path> card_files(const Node& config, const fs::path& root, Part part,
                                 const std::vector<std::string>& files) {
  const Node* data = config.find("data_files");
  if (!data) bad_card(root, "an entry of configs has no data_files");
  std::vector<std::string> patterns;
  const auto add = [&](const std::string& split, const Node& paths) {
    if (std::ranges::find(split_names(part), split) == split_names(part).end()) return;
    for (const std::string& path : texts_of(paths, root)) patterns.push_back(path);
  };
  if (data->kind == Node::Kind::kMap) {
    for (size_t i = 0; i < data->keys.size(); ++i) add(data->keys[i], data->items[i]);
  } else if (data->kind == Node::Kind::kList && !data->items.empty() && data->items[0].kind == Node::Kind::kMap) {
    for (const Node& item : data->items) {
      const Node* path = item.find("path");
      if (!path) bad_card(root, "an entry of data_files has no path");
      add(text_of(item.find("split")), *path);
    }
  } else {
    add("train", *data);
  }
  std::vector<fs::path> found;
  for (const std::string& pattern : patterns)
    for (const fs::path& path : matches(root, files, pattern)) found.push_back(path);
  return found;
}

/// The number behind `mark` at the end of `stem` ("-of-00012"), and what stands before it.
std::optional<std::pair<std::string, int>> number_at_end(const std::string& stem, std::string_view mark) {
  const size_t at = stem.rfind(mark);
  if (at == stem.npos) return std::nullopt;
  int number = 0;
  const char* end = stem.data() + stem.size();
  const auto [stop, error] = std::from_chars(stem.data() + at + mark.size(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return {{stem.substr(0, at), number}};
}

/// Names say how many pieces a split has: all must be there.
void require_all_pieces(const fs::path& root, const std::vector<fs::path>& files) {
  std::map<std::pair<std::string, int>, std::set<int>> pieces;
  for (const fs::path& file : files) {
    std::string name = file.string();
    for (const std::string_view ending : kEndings)
      if (name.ends_with(ending)) name.resize(name.size() - ending.size());
    const auto of = number_at_end(name, "-of-");
    const auto piece = of ? number_at_end(of->first, "-") : std::nullopt;
    if (piece) pieces[{piece->first, of->second}].insert(piece->second);
  }
  for (const auto& [split, there] : pieces)
    if (static_cast<int>(there.size()) != split.second)
      throw Error(ErrorKind::kInput, root.string(), "pieces of a split are missing",
                  {.got = fmt::format("{} of {}", there.size(), fs::path(split.first).filename().string()),
                   .want = fmt::format("{}", split.second),
                   .hint = "incomplete download?"});
}

/// train.parquet, train-00000-of-00001.parquet, data/train-*.parquet; a split's name ends where a letter or digit does.
std::vector<fs::path> named_files(const fs::path& root, Part part, const std::vector<std::string>& files) {
  std::vector<fs::path> found;
  for (const std::string& file : files) {
    const fs::path path(file);
    const std::string folder = path.parent_path().generic_string(), name = path.filename().string();
    if (folder != "" && folder != "data") continue;
    const bool fits = std::ranges::any_of(split_names(part), [&](std::string_view split) {
      return name.starts_with(split) && std::isalnum(static_cast<unsigned char>(name[split.size()])) == 0;
    });
    if (fits) found.push_back(root / path);
  }
  return found;
}

}  // namespace

std::vector<fs::path> part_files(const fs::path& root, Part part, const std::string& subset) {
  if (!fs::is_directory(root)) return {};
  if (subset.empty())
    if (std::vector<fs::path> files = bridge_files(root, part); !files.empty()) return files;
  const bool is_bridges = std::ranges::any_of(std::array{Part::kTrain, Part::kValid, Part::kTest},
                                              [&](Part any) { return !bridge_files(root, any).empty(); });
  if (is_bridges && subset.empty()) return {};
  const std::vector<std::string> all = row_files(root);
  const std::optional<Node> card = card_of(root);
  const Node none;
  const Node* config = chosen_config(card ? *card : none, subset, root);
  std::vector<fs::path> files = config ? card_files(*config, root, part, all) : named_files(root, part, all);
  require_all_pieces(root, files);
  return files;
}

}  // namespace rialto::data
