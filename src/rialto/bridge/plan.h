// Rows -> map: the pieces for one model, the check against what a source really holds, and the executor on bytes.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "rialto/base/progress.h"
#include "rialto/bridge/piece.h"
#include "rialto/bridge/rows.h"
#include "rialto/spec/model_spec.h"

namespace rialto::bridge {

/// Pieces for every parameter of `model` by the family's rows. HF names and shapes follow from the native side.
/// dtypes are the model's on both sides until match_source. Throws kInternal when a parameter has no row.
Map make_map(const spec::ModelSpec& model, std::span<const ParamRow> rows);

/// A tensor that a source really holds.
struct SourceTensor {
  std::string name;
  Shape shape;
  DType dtype = DType::kF32;
};
/// Matches the map's HF side with a file's tensors: sets dtypes; adds a kCopies piece for a tied head that the file
/// carries; moves tensors named by `ignored` aside. Throws kInput listing (up to ten) missing, extra and reshaped tensors.
void match_source(Map& map, std::span<const SourceTensor> source, std::span<const IgnoredRow> ignored);

/// Stored bytes [begin, begin + out.size()) of tensor `index` of one side. Must be thread-safe.
using ByteReader = std::function<void(uint32_t index, uint64_t begin, std::span<std::byte> out)>;
using ByteSink = std::function<void(std::span<const std::byte>)>;

/// Produces the bytes of one destination tensor front to back through buffers of at most `buffer_bytes`, gathering the
/// pieces from the source side and casting where dtypes differ. kCopies pieces are compared with their canonical box
/// when the native side is the destination (throws kInput naming both). Returns how many values were rounded.
enum class Direction { kToNative, kToHf };
class Executor {
 public:
  Executor(const Map& map, Direction direction, ByteReader source, size_t buffer_bytes = 8u << 20);
  ~Executor();
  uint64_t produce(uint32_t destination, const ByteSink& sink);
  /// Elements [begin, end) of the destination tensor (row-major) into `out`, in the destination's dtype.
  void produce_range(uint32_t destination, int64_t begin, int64_t end, std::span<std::byte> out);
  /// kToNative: compares every kCopies piece with its canonical box. Throws kInput.
  void check_copies();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rialto::bridge
