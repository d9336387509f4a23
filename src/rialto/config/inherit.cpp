// Walking through `defaults`.
#include "rialto/config/inherit.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/config/fields.h"

namespace rialto::config {
namespace {

class Walk {
 public:
  explicit Walk(const FindBase& find) : find_(find) {}

  void add(Node document, const std::string& name) {
    path_.push_back(name);
    for (const auto& [base, place] : take_defaults(document)) {
      if (std::ranges::find(path_, base) != path_.end())
        throw Error(ErrorKind::kConfig, place.where(), "defaults go in a circle",
                    {.got = fmt::format("{} -> {}", fmt::join(path_, " -> "), base), .want = "a base above them all"});
      if (std::ranges::find(seen_, base) != seen_.end()) continue;
      add(find_(base, place), base);
    }
    path_.pop_back();
    seen_.push_back(name);
    documents.push_back(std::move(document));
  }

  std::vector<Node> documents;

 private:
  /// Names with the place that says them.
  static std::vector<std::pair<std::string, Node>> take_defaults(Node& document) {
    std::vector<std::pair<std::string, Node>> bases;
    const auto at = std::ranges::find(document.keys, "defaults");
    if (document.kind != Node::Kind::kMap || at == document.keys.end()) return bases;
    const auto index = at - document.keys.begin();
    const Node value = document.items[static_cast<size_t>(index)];
    document.keys.erase(at);
    document.items.erase(document.items.begin() + index);
    std::vector<std::string> names;
    read_value(value, names);
    for (std::string& name : names) bases.emplace_back(std::move(name), value);
    return bases;
  }

  const FindBase& find_;
  std::vector<std::string> path_, seen_;
};

}  // namespace

std::vector<Node> with_bases(Node document, const std::string& name, const FindBase& find) {
  Walk walk(find);
  walk.add(std::move(document), name);
  return std::move(walk.documents);
}

}  // namespace rialto::config
