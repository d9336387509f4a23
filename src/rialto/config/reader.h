// Documents into a RunConfig, through the table of keys. Inside config only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rialto/base/error.h"
#include "rialto/base/schema.h"
#include "rialto/config/sections.h"

namespace rialto::config {

/// What is wrong goes here, one entry for each key; without a list the first is thrown.
using Problems = std::vector<Problem>;

/// Calls `read`; what it throws becomes an entry of `problems`, if there are some.
template <class Read>
void collect(Problems* problems, const std::string& key, const Read& read) {
  if (problems == nullptr) return read();
  try {
    read();
  } catch (const Error& error) {
    problems->push_back({"", key, error.what()});
  }
}

/// Throws kConfig: no such key, and the nearest one.
[[noreturn]] void refuse_key(const Node& value, std::string_view section, const std::string& key);

/// Throws kConfig naming the key when the value does not fit.
void read_key(RunConfig& config, const KeyRow& row, const Node& value);

/// A map of keys; null puts every key of the section back to its default.
void read_section(RunConfig& config, const std::string& section, const Node& map, Problems* problems);

/// A map of sections, and of keys at the top level.
void read_document(RunConfig& config, const Node& document, Problems* problems);

/// Every key of the section gets its default.
void reset_section(RunConfig& config, std::string_view section);

/// The documents in their order, each laid over those before it.
void read_documents(RunConfig& config, const std::vector<Node>& documents, Problems* problems);

/// A YAML file and its bases (inherit.h): `defaults` names recipes, or YAML files beside the one that names them.
std::vector<Node> read_file(const std::string& path);
/// A YAML file, or the name of a built-in recipe. Throws kConfig with the nearest name when there is neither.
std::vector<Node> read_recipe(const std::string& path);

}  // namespace rialto::config
