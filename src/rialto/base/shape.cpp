// Element counts that cannot overflow, and shapes as text.
#include "rialto/base/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/base/error.h"

namespace rialto {

int64_t num_elements(const Shape& shape) {
  int64_t count = 1;
  bool empty = false;
  for (const int64_t size : shape) {
    if (size < 0) throw Error(ErrorKind::kShape, "shape", "negative size in " + to_text(shape));
    if (size == 0) {
      empty = true;
      continue;
    }
    if (__builtin_mul_overflow(count, size, &count)) {
      throw Error(ErrorKind::kShape, "shape", "more than 2^63 elements in " + to_text(shape));
    }
  }
  return empty ? 0 : count;
}

std::string to_text(const Shape& shape) { return fmt::format("({})", fmt::join(shape, ", ")); }

}  // namespace rialto
