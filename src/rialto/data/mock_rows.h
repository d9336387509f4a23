// Made-up rows whose answers follow from what stands before them: a model that cannot look back never learns them.
#pragma once

#include <string_view>

#include "rialto/data/packed_row.h"

namespace rialto::data {

/// What a row asks for.
enum class MockTask {
  kCopy,    ///< symbols, a separator, the same symbols again
  kNeedle,  ///< pairs of a key and a value, a separator, one of the keys: its value
};

struct MockOptions {
  MockTask task = MockTask::kCopy;
  int64_t length = 8;       ///< symbols that are copied, or pairs
  int64_t vocab_size = 64;  ///< ids 0 (end), 1 (separator), and symbols from 2
  uint64_t seed = 1234;
};

/// Throws kConfig unless there is something to draw: a length of at least 1, a symbol to copy, or as many keys as pairs
/// (keys are the first half of the symbols, values the second).
void check_mock(const MockOptions& options);

/// Row `index`: a function of options and index alone. Its answer and the end behind it are trained. Keys of a row
/// differ.
TokenRow mock_row(const MockOptions& options, uint64_t index);

}  // namespace rialto::data
