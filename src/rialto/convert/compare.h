// Comparing runs of elements, bit for bit or within a tolerance.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "rialto/base/dtype.h"
#include "rialto/base/shape.h"

namespace rialto::convert {

struct Tolerance {
  std::optional<uint64_t> max_ulp;  ///< in units of the coarser of the two types
  std::optional<double> rtol;
  bool exact() const { return !max_ulp && !rtol; }
};

/// Collects what differs between two tensors, block by block.
class Comparison {
 public:
  Comparison(DType a, DType b, Tolerance tolerance) : a_(a), b_(b), tolerance_(tolerance) {}
  /// The next elements of both; the same count.
  void add(std::span<const std::byte> a, std::span<const std::byte> b);
  bool equal() const { return different_ == 0; }
  /// "3 of 4096 values differ, first at (1, 5): 0.5 and 0.75; at most 3 ulp".
  std::string text(const Shape& shape) const;

 private:
  void add_values(std::span<const std::byte> a, std::span<const std::byte> b);

  DType a_, b_;
  Tolerance tolerance_;
  uint64_t count_ = 0, different_ = 0, first_ = 0, largest_ulp_ = 0;
  double first_a_ = 0, first_b_ = 0;
};

}  // namespace rialto::convert
