// What both checks of training data, of rows and of token files, report alike.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "rialto/base/json.h"

namespace rialto::data {

/// How long the pieces of a corpus are, in tokens.
class LengthCounts {
 public:
  void add(int64_t length);
  /// shortest, mean, median, p95, longest; {} of nothing.
  Json report() const;

 private:
  std::map<int64_t, int64_t> counts_;  ///< by length
  int64_t pieces_ = 0, tokens_ = 0;
};

/// What was found, counted by kind, and the first lines of it.
class Findings {
 public:
  explicit Findings(size_t most_listed) : most_listed_(most_listed) {}
  void add(const char* kind, const std::string& line);
  const Json& counts() const { return counts_; }
  const Json& listed() const { return listed_; }

 private:
  size_t most_listed_;
  Json counts_ = Json::object(), listed_ = Json::array();
};

}  // namespace rialto::data
