// Copies and needles.
#include "rialto/data/mock_rows.h"

#include <numeric>
#include <string>

#include "rialto/base/error.h"
#include "rialto/base/random.h"

namespace rialto::data {
namespace {

constexpr int32_t kEnd = 0, kSeparator = 1, kFirstSymbol = 2;

int64_t symbols_of(const MockOptions& options) { return options.vocab_size - kFirstSymbol; }

/// Draws one after the other.
class Draw {
 public:
  Draw(uint64_t seed, uint64_t row) : stream_(seed, "mock/" + std::to_string(row)) {}
  /// In [low, low + count).
  int32_t operator()(int64_t low, int64_t count) {
    return static_cast<int32_t>(low + static_cast<int64_t>(stream_.bits(next_++) % static_cast<uint64_t>(count)));
  }

 private:
  RandomStream stream_;
  uint64_t next_ = 0;
};

void add(TokenRow& row, int32_t id, bool trained) {
  row.ids.push_back(id);
  row.mask.push_back(trained);
}

}  // namespace

void check_mock(const MockOptions& options) {
  const int64_t most = options.task == MockTask::kNeedle ? symbols_of(options) / 2 : int64_t{1} << 24;
  if (options.vocab_size < 4 || options.vocab_size > (int64_t{1} << 31))
    throw Error(ErrorKind::kConfig, "data mock", "a vocabulary has an end, a separator and symbols",
                {.got = std::to_string(options.vocab_size), .want = "4 to 2^31", .hint = {}});
  if (options.length < 1 || options.length > most)
    throw Error(ErrorKind::kConfig, "data mock", "no row of that length can be drawn",
                {.got = std::to_string(options.length), .want = "1 to " + std::to_string(most), .hint = {}});
}

TokenRow mock_row(const MockOptions& options, uint64_t index) {
  Draw draw(options.seed, index);
  TokenRow row;
  const int64_t symbols = symbols_of(options);
  if (options.task == MockTask::kCopy) {
    for (int64_t i = 0; i < options.length; ++i) add(row, draw(kFirstSymbol, symbols), false);
    add(row, kSeparator, false);
    for (int64_t i = 0; i < options.length; ++i) add(row, row.ids[static_cast<size_t>(i)], true);
  } else {
    const int64_t keys = symbols / 2;
    std::vector<int32_t> left(static_cast<size_t>(keys));
    std::iota(left.begin(), left.end(), kFirstSymbol);
    for (int64_t i = 0; i < options.length; ++i) {
      const auto at = static_cast<size_t>(draw(i, keys - i));
      std::swap(left[static_cast<size_t>(i)], left[at]);
      add(row, left[static_cast<size_t>(i)], false);
      add(row, draw(kFirstSymbol + keys, symbols - keys), false);
    }
    const auto asked = static_cast<size_t>(2 * draw(0, options.length));
    add(row, kSeparator, false);
    add(row, row.ids[asked], false);
    add(row, row.ids[asked + 1], true);
  }
  add(row, kEnd, true);
  return row;
}

}  // namespace rialto::data
