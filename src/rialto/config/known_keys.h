// Keys of Megatron Bridge's configuration that do not act here: data, one row each. They are accepted at the value that
// asks for nothing, so that Bridge's files load as they are, and refused by name with a reason at any other.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "rialto/base/schema.h"

namespace rialto::config {

/// Why a key does not act; reason() says it in words.
enum class Why {
  kCheckpoint,
  kData,
  kFp8,
  kFp8Weights,
  kGpu,
  kInference,
  kInit,
  kLogging,
  kLoop,
  kMemory,
  kModel,
  kNote,
  kOptimizer,
  kParallel,
  kPrecision,
  kPython,
  kRandom,
  kReader,
  kSchedule,
  kTokenizer,
  kWatch,
};

struct KnownKey {
  std::string_view key;
  std::string_view bridge_default;  ///< YAML; null is accepted besides
  Why why;
  /// One more value that is accepted because it changes nothing here: YAML, "*" for any value, "#" for a number, or
  /// "@a.b|c.d" for a map whose `_target_` is one of these. The number, and the map's `std`, are kept for rules to
  /// compare (RunConfig::stated).
  std::string_view also = {};
};

struct KnownSection {
  std::string_view name;  ///< "" for the top level
  std::span<const KnownKey> keys;
};

/// Every section that holds such keys. A section may also have keys that act; where both tables have a key, it acts.
std::span<const KnownSection> known_sections();

/// A sentence without a subject: "comes with parallel training, ...".
std::string_view reason(Why why);

/// True when the key may have this value.
bool accepts(const KnownKey& key, const Node& value);

/// What accepts() takes, in words: "false or true".
std::string accepted_values(const KnownKey& key);

/// The number that an accepted value says: itself for "#", the map's `std` for "@a.b"; none otherwise.
std::optional<double> stated_number(const KnownKey& key, const Node& value);

/// True when `_target_` of a section may be this class. Names are looked up here and never imported.
bool is_known_target(std::string_view section, std::string_view target);
/// The first class of the section, as an example; "" when it has none.
std::string_view example_target(std::string_view section);

}  // namespace rialto::config
