// Typed values of one section of a run_config.yaml.
#include "rialto/resolve/yaml_section.h"

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::resolve {

std::string text_of(const Node& node) {
  if (node.kind == Node::Kind::kList) return fmt::format("a list of {}", node.items.size());
  if (node.kind == Node::Kind::kMap) return "a map";
  return node.kind == Node::Kind::kNull ? "null" : node.text;
}

bool says(const Node& node, std::string_view text) {
  switch (node.kind) {
    case Node::Kind::kNull:
      return text == "null";
    case Node::Kind::kBool:
      return text == (node.boolean ? "true" : "false");
    case Node::Kind::kInt:
    case Node::Kind::kFloat: {
      const Node want = parse_yaml_value(text);
      return (want.kind == Node::Kind::kInt || want.kind == Node::Kind::kFloat) && want.number == node.number;
    }
    case Node::Kind::kString:
      return node.text == text;
    default:
      return false;
  }
}

YamlSection::YamlSection(const Node& node, std::string name, Wording wording)
    : node_(node), name_(std::move(name)), wording_(std::move(wording)) {
  if (node.kind != Node::Kind::kMap) throw Error(wording_.kind, node.where(), fmt::format("'{}:' is not a map", name_));
}

const Node* YamlSection::look(std::string_view key) const {
  asked_.emplace(key);
  return node_.find(key);
}

const Node* YamlSection::find(std::string_view key) const {
  const Node* found = look(key);
  return found && found->kind != Node::Kind::kNull ? found : nullptr;
}

const Node& YamlSection::need(std::string_view key) const {
  if (const Node* found = find(key)) return *found;
  throw Error(wording_.kind, node_.where(), fmt::format("'{}.{}' {}", name_, key, wording_.missing),
              {.hint = wording_.hint});
}

Error YamlSection::bad(const Node& at, std::string_view key, std::string_view want) const {
  return Error(wording_.kind, at.where(), fmt::format("'{}.{}' cannot be used", name_, key),
               {.got = text_of(at), .want = std::string(want), .hint = {}});
}

Error YamlSection::bad(std::string_view key, std::string_view want) const {
  const Node* found = find(key);
  return bad(found ? *found : node_, key, want);
}

Error YamlSection::not_computed(std::string_view key, std::string_view want) const {
  const Node* found = look(key);
  return Error(wording_.kind, (found ? *found : node_).where(),
               fmt::format("'{}.{}' asks for something that is not computed here", name_, key),
               {.got = found ? text_of(*found) : "nothing", .want = std::string(want), .hint = wording_.hint});
}

int64_t YamlSection::size(std::string_view key, int64_t high) const {
  const Node& found = need(key);
  if (found.kind != Node::Kind::kInt || found.integer < 1 || found.integer > high)
    throw bad(found, key, fmt::format("an integer from 1 to {}", high));
  return found.integer;
}

int64_t YamlSection::size_or(std::string_view key, int64_t high, int64_t otherwise) const {
  return find(key) ? size(key, high) : otherwise;
}

double YamlSection::number_or(std::string_view key, double low, double high, double otherwise) const {
  const Node* found = find(key);
  if (!found) return otherwise;
  if ((found->kind != Node::Kind::kInt && found->kind != Node::Kind::kFloat) ||
      !(found->number >= low && found->number <= high))
    throw bad(*found, key, fmt::format("a number from {} to {}", low, high));
  return found->number;
}

bool YamlSection::flag_or(std::string_view key, bool otherwise) const {
  const Node* found = find(key);
  if (!found) return otherwise;
  if (found->kind != Node::Kind::kBool) throw bad(*found, key, "true or false");
  return found->boolean;
}

std::string YamlSection::target(std::string_view key) const {
  const Node& found = need(key);
  const Node* name = found.kind == Node::Kind::kMap ? found.find("_target_") : &found;
  if (!name || name->kind != Node::Kind::kString) throw bad(found, key, "a name");
  return name->text.substr(name->text.rfind('.') + 1);
}

void YamlSection::require(std::string_view key, std::string_view text, bool optional) const {
  const Node* found = optional ? look(key) : &need(key);
  if (found && !says(*found, text)) throw not_computed(key, text);
}

}  // namespace rialto::resolve
