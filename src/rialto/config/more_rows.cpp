// Rows that are made from other tables: second names of keys, classes, keys that do not act.
#include "rialto/config/more_rows.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/config/fields.h"
#include "rialto/config/model_keys.h"
#include "rialto/config/reader.h"

namespace rialto::config {
namespace {

[[noreturn]] void refuse(const Node& node, std::string what, std::string got, std::string want) {
  throw Error(ErrorKind::kConfig, node.where(), what, {.got = std::move(got), .want = std::move(want)});
}

/// Bridge's blend, [prefixes, weights or null], as words: weight, prefix, ... or the prefixes alone.
std::vector<std::string> blend_words(const Node& node) {
  const Node& pair = unwrapped(node);
  if (pair.kind == Node::Kind::kNull) return {};
  constexpr const char* kWant = "[[prefix, ...], null] or [[prefix, ...], [weight, ...]]";
  if (pair.kind != Node::Kind::kList || pair.items.empty() || pair.items.size() > 2)
    refuse(node, "wrong type", "", kWant);
  std::vector<std::string> prefixes, words;
  read_value(pair.items[0], prefixes);
  if (pair.items.size() == 1 || pair.items[1].kind == Node::Kind::kNull) return prefixes;
  const Node& weights = unwrapped(pair.items[1]);
  if (weights.kind != Node::Kind::kList || weights.items.size() != prefixes.size())
    refuse(node, "needs a weight for each prefix", std::to_string(weights.items.size()),
           std::to_string(prefixes.size()));
  for (size_t i = 0; i < prefixes.size(); ++i) {
    words.push_back(write_scalar(read_float(weights.items[i])));
    words.push_back(prefixes[i]);
  }
  return words;
}

void read_blend(RunConfig& config, const Node& node) {
  const std::vector<std::string> words = blend_words(node);
  if (!words.empty()) config.dataset.data_path = words;
}

/// Bridge's blend_per_split: [train, valid, test], each a blend or null.
void read_blend_per_split(RunConfig& config, const Node& node) {
  const Node& parts = unwrapped(node);
  if (parts.kind == Node::Kind::kNull) return;
  if (parts.kind != Node::Kind::kList || parts.items.size() != 3)
    refuse(node, "wrong type", "", "[blend or null, blend or null, blend or null]");
  config.dataset.train_data_path = blend_words(parts.items[0]);
  config.dataset.valid_data_path = blend_words(parts.items[1]);
  config.dataset.test_data_path = blend_words(parts.items[2]);
}

/// Bridge's map of how rows are packed; its keys are rows of their own.
void read_packing(RunConfig& config, const Node& node) {
  constexpr std::string_view kMap = "packed_sequence_specs";
  if (node.kind == Node::Kind::kNull) return;
  if (node.kind != Node::Kind::kMap) refuse(node, "wrong type", node.text, "a map of keys");
  for (size_t i = 0; i < node.keys.size(); ++i) {
    const Node& value = node.items[i];
    if (node.keys[i] == "_target_") {
      const bool known =
          value.kind == Node::Kind::kString && is_known_target("dataset.packed_sequence_specs", value.text);
      if (!known)
        refuse(value, "not a class of this map", value.text,
               std::string(example_target("dataset.packed_sequence_specs")));
      continue;
    }
    const std::string key = fmt::format("{}.{}", kMap, node.keys[i]);
    const KeyRow* row = find_row("dataset", key);
    if (row == nullptr) refuse_key(value, "dataset", key);
    read_key(config, *row, value);
  }
}

bool has_row(const std::vector<KeyRow>& rows, std::string_view section, std::string_view key) {
  return std::any_of(rows.begin(), rows.end(),
                     [&](const KeyRow& row) { return row.section == section && row.key == key; });
}

}  // namespace

void add_second_names(std::vector<KeyRow>& rows) {
  const auto same_as = [&rows](std::string_view section, std::string_view key, std::string_view stored_as) {
    const auto of =
        std::find_if(rows.begin(), rows.end(), [&](const KeyRow& row) { return row.full_name() == stored_as; });
    const auto read = [of = of->read](RunConfig& config, const Node& node) {
      if (node.kind != Node::Kind::kNull) of(config, node);  // Bridge writes null under the name it does not use
    };
    rows.push_back({section, key, of->help, read, of->write, of->type, stored_as});
  };
  same_as("train", "eval_iters", "validation.eval_iters");
  same_as("train", "eval_interval", "validation.eval_interval");
  same_as("validation", "skip_train", "train.skip_train");
  same_as("dataset", "sequence_length", "dataset.seq_length");
  same_as("dataset", "seed", "dataset.random_seed");
  same_as("rialto", "family", "model.family");
  same_as("dataset", "blend", "dataset.data_path");
  rows.back().read = read_blend;
  same_as("dataset", "blend_per_split", "dataset.train_data_path");
  rows.back().read = read_blend_per_split;
  same_as("dataset", "packed_sequence_specs", "dataset.packed_sequence_specs.packed_sequence_size");
  rows.back().read = read_packing;
  rows.back().write = [](const RunConfig& config) { return write_map(config, "dataset", "packed_sequence_specs"); };
  rows.back().type = "map";
  rows.back().help = "how fine-tuning rows are packed: the keys below as a map";
  same_as("dataset", "enable_in_batch_packing", "dataset.pack_sequences_in_batch");
  same_as("comm_overlap", "overlap_grad_reduce", "ddp.overlap_grad_reduce");
  same_as("comm_overlap", "overlap_param_gather", "ddp.overlap_param_gather");
  same_as("optimizer", "overlap_param_gather", "ddp.overlap_param_gather");
  same_as("comm_overlap", "bucket_size", "ddp.bucket_size");
  same_as("ddp", "use_distributed_optimizer", "optimizer.use_distributed_optimizer");
  // Bridge turns both on when this one is.
  rows.back().read = [](RunConfig& config, const Node& node) {
    if (node.kind != Node::Kind::kNull && read_bool(node)) config.optimizer.use_distributed_optimizer = true;
  };
}

void add_targets(std::vector<KeyRow>& rows) {
  std::vector<std::string_view> sections = {"", "model", "profiling"};
  for (const KnownSection& section : known_sections()) sections.push_back(section.name);
  for (const std::string_view section : sections) {
    if (has_row(rows, section, "_target_") || example_target(section).empty()) continue;
    const auto read = [section](RunConfig&, const Node& node) {
      if (node.kind == Node::Kind::kString && is_known_target(section, node.text)) return;
      refuse(node, "not a class of this section", node.kind == Node::Kind::kString ? node.text : "no name",
             std::string(example_target(section)));
    };
    rows.push_back({section, "_target_", "class of Megatron Bridge that the section is; looked up, never imported",
                    read, [section](const RunConfig&) { return std::string(example_target(section)); },
                    "name of a class"});
    rows.back().is_class = true;
  }
}

void add_known_keys(std::vector<KeyRow>& rows) {
  for (const KnownSection& section : known_sections()) {
    for (const KnownKey& key : section.keys) {
      if (has_row(rows, section.name, key.key)) continue;  // it acts
      const auto read = [section = section.name, known = &key](RunConfig& config, const Node& node) {
        const bool list = node.kind == Node::Kind::kMap || node.kind == Node::Kind::kList;
        if (!accepts(*known, node))
          refuse(node, fmt::format("does not act here: {}", reason(known->why)), list ? "another" : node.text,
                 accepted_values(*known));
        const std::string name = fmt::format("{}.{}", section, known->key);
        config.stated.erase(name);
        if (const auto number = stated_number(*known, node)) config.stated[name] = *number;
      };
      rows.push_back({section.name,
                      key.key,
                      reason(key.why),
                      read,
                      [known = &key](const RunConfig&) { return std::string(known->bridge_default); },
                      "value",
                      {},
                      &key});
    }
  }
}

}  // namespace rialto::config
