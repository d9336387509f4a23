// A `model:` section seen through a family: which keys the family leaves open, and what an absent one means.
#pragma once

#include <optional>
#include <string_view>

#include "rialto/base/json.h"
#include "rialto/families/family.h"
#include "rialto/resolve/yaml_section.h"

namespace rialto::resolve {

/// What a key that is not there means: in a run_config.yaml, Megatron's default; in a training YAML, what the family
/// has.
enum class Dialect { kMegatron, kTraining };

struct SectionSource {
  const YamlSection& keys;
  const families::Family& family;
  Dialect dialect = Dialect::kMegatron;

  bool megatron() const { return dialect == Dialect::kMegatron; }
  const families::Traits& traits() const { return family.traits; }

  /// The family has a config row of this kind: its models differ in it.
  bool open(bridge::ConfigKind kind) const;
  /// What the family's row says of a model that is silent; null without such a row.
  Json usual(bridge::ConfigKind kind) const;

  // What all models of the family have in common must be said so. Absent keys are Megatron's default, or the family's.
  // Each throws naming the key.

  /// `text`: what the family has. `said`: Megatron's default is another, so its file must hold the key.
  void fixed(std::string_view key, std::string_view text, bool said = false) const;
  /// Megatron's default is false. `open`: the family has either; `usual`: what it has, or mostly has.
  bool flag(std::string_view key, bool open, bool usual) const;
  /// A size that the family must have a row for, else it is null; 0 where the section is silent.
  int64_t size_if(bridge::ConfigKind kind, std::string_view key, int64_t high) const;
  /// The same of a number that may also be `neutral`.
  std::optional<double> number_if(bridge::ConfigKind kind, std::string_view key, double low, double neutral) const;
};

}  // namespace rialto::resolve
