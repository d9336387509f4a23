// YAML documents to Nodes. Built from parser events, so that duplicates are seen and aliases cannot expand without
// bound.
#include <algorithm>
#include <map>
#include <sstream>
#include <unordered_set>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include "rialto/base/error.h"
#include "rialto/base/file_ops.h"
#include "rialto/base/scalar.h"
#include "rialto/base/schema.h"

namespace rialto {

namespace {

constexpr size_t kMaxBytes = 4u << 20;
constexpr size_t kMaxNodes = 1u << 20;
constexpr size_t kMaxDepth = 100;

size_t count_nodes(const Node& node) {
  size_t count = 1;
  for (const Node& item : node.items) count += count_nodes(item);
  return count;
}

class Builder final : public YAML::EventHandler {
 public:
  explicit Builder(std::string_view file) : file_(file) {}

  Node take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add(make(mark), anchor); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) fail(mark, "an alias inside its own anchor");
    nodes_ += count_nodes(found->second);
    add(found->second, 0);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node node = make(mark);
    if (tag == "?" || tag.empty()) {
      resolve_plain_scalar(node, value);
    } else if (tag == "!" || tag == "tag:yaml.org,2002:str") {
      node.kind = Node::Kind::kString;
      node.text = value;
    } else {
      fail(mark, "a tag that is not read: '" + tag + "'");
    }
    add(std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::kList);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::kMap);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    Node node;
    YAML::anchor_t anchor = 0;
    bool has_key = false;
    std::string key;
    std::unordered_set<std::string> seen;
    std::vector<Node> merged;  ///< values of "<<"
  };

  Node make(const YAML::Mark& mark) const {
    Node node;
    node.file = file_;
    node.line = file_.empty() || mark.line < 0 ? 0 : mark.line + 1;
    return node;
  }

  [[noreturn]] void fail(const YAML::Mark& mark, std::string_view what) const {
    throw Error(ErrorKind::kConfig, make(mark).where(), what);
  }
  [[noreturn]] static void fail(const Node& node, std::string_view what) {
    throw Error(ErrorKind::kConfig, node.where(), what);
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind) {
    if (tag != "?" && tag != "!" && !tag.empty() && !tag.starts_with("tag:yaml.org,2002:map") &&
        !tag.starts_with("tag:yaml.org,2002:seq")) {
      fail(mark, "a tag that is not read: '" + tag + "'");
    }
    if (stack_.size() >= kMaxDepth) fail(mark, "nested too deeply");
    Open frame;
    frame.node = make(mark);
    frame.node.kind = kind;
    frame.anchor = anchor;
    stack_.push_back(std::move(frame));
  }

  void close() {
    Open frame = std::move(stack_.back());
    stack_.pop_back();
    for (const Node& source : frame.merged) merge(frame, source);
    add(std::move(frame.node), frame.anchor);
  }

  /// YAML's "<<": entries of another map that this one does not have itself.
  static void merge(Open& frame, const Node& source) {
    if (source.kind == Node::Kind::kList) {
      for (const Node& item : source.items) merge(frame, item);
      return;
    }
    if (source.kind != Node::Kind::kMap) fail(source, "'<<' needs a map");
    for (size_t i = 0; i < source.items.size(); ++i) {
      if (!frame.seen.insert(source.keys[i]).second) continue;
      frame.node.keys.push_back(source.keys[i]);
      frame.node.items.push_back(source.items[i]);
    }
  }

  void add(Node node, YAML::anchor_t anchor) {
    if (++nodes_ > kMaxNodes) fail(node, "more than a million values; aliases that expand?");
    if (anchor != 0) anchors_[anchor] = node;
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& frame = stack_.back();
    if (frame.node.kind == Node::Kind::kList) {
      frame.node.items.push_back(std::move(node));
      return;
    }
    if (!frame.has_key) {
      if (node.kind == Node::Kind::kList || node.kind == Node::Kind::kMap) fail(node, "a map key that is not a scalar");
      frame.key = node.kind == Node::Kind::kNull && node.text.empty() ? "null" : node.text;
      if (frame.key != "<<" && !frame.seen.insert(frame.key).second) fail(node, "duplicate key '" + frame.key + "'");
      frame.has_key = true;
      return;
    }
    frame.has_key = false;
    if (frame.key == "<<") {
      frame.merged.push_back(std::move(node));
      return;
    }
    frame.node.keys.push_back(std::move(frame.key));
    frame.node.items.push_back(std::move(node));
  }

  std::string file_;
  Node root_;
  std::vector<Open> stack_;
  std::map<YAML::anchor_t, Node> anchors_;
  size_t nodes_ = 0;
};

}  // namespace

Node parse_yaml(std::string_view text, std::string_view file) {
  if (text.size() > kMaxBytes) {
    throw Error(ErrorKind::kConfig, file, "the document is too large",
                {.got = std::to_string(text.size()) + " bytes", .want = "at most " + std::to_string(kMaxBytes)});
  }
  Builder builder(file);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    if (parser.HandleNextDocument(builder)) {
      Builder rest(file);
      if (parser.HandleNextDocument(rest)) throw Error(ErrorKind::kConfig, file, "more than one YAML document");
    }
  } catch (const YAML::Exception& error) {
    Node at;
    at.file = file;
    at.line = file.empty() || error.mark.is_null() ? 0 : error.mark.line + 1;
    throw Error(ErrorKind::kConfig, at.where(), "not valid YAML: " + error.msg);
  }
  Node root = builder.take();
  if (root.file.empty()) root.file = file;
  return root;
}

Node read_yaml_file(const std::string& path) {
  try {
    return parse_yaml(read_text_file(path, kMaxBytes), path);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    throw Error(ErrorKind::kConfig, "", error.what());
  }
}

Node parse_yaml_value(std::string_view text) {
  // Only flow collections and quoted text need a parser; anything else is one plain scalar ("*.jsonl", "a: b").
  const size_t first = text.find_first_not_of(" \t");
  if (first != text.npos && std::string_view("[{\"'").find(text[first]) != std::string_view::npos)
    return parse_yaml(text, "");
  Node node;
  if (text.empty()) {
    node.kind = Node::Kind::kString;
  } else {
    resolve_plain_scalar(node, text);
  }
  return node;
}

}  // namespace rialto
