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

/// A tensor that a source really holds.
struct SourceTensor {
  std::string name;
  Shape shape;
  DType dtype = DType::kF32;
};

/// Pieces for every parameter of `model` by the family's rows. HF names and shapes follow from the native side; where
/// rows are alternatives, the first whose tensors `source` has, else the first (what an export writes). dtypes are the
/// model's on both sides until match_source. Throws kInternal when a parameter has no row. Time O(P log P).
Map make_map(const spec::ModelSpec& model, std::span<const ParamRow> rows, std::span<const SourceTensor> source = {});

/// Takes blocks of multi-token prediction off the end of `model` that config.json promises and the files do not hold
/// (transformers drops them when it saves).
void drop_absent_mtp(spec::ModelSpec& model, std::span<const ParamRow> rows, std::span<const SourceTensor> source);

/// Matches the map's HF side with a file's tensors: sets its dtypes; adds a kCopies piece for every repeated tensor
/// (a tied head) that the file carries; moves tensors named by `ignored` aside. A native dtype becomes the narrowest
/// that holds all its HF tensors, so that nothing is rounded; set another one afterwards where it is wanted. Throws
/// kInput listing (up to ten each) missing, extra, reshaped, repeated and quantised tensors.
void match_source(Map& map, std::span<const SourceTensor> source, std::span<const IgnoredRow> ignored);

/// For an export that no file's tensors shape: adds a kCopies piece for every repeated tensor that the family's
/// published files carry (copies of embedding and head in blocks of multi-token prediction); drops the others (a tied
/// head).
void add_written_copies(Map& map);

/// Stored bytes [begin, begin + out.size()) of tensor `index` of one side. Must be thread-safe.
using ByteReader = std::function<void(uint32_t index, uint64_t begin, std::span<std::byte> out)>;
using ByteSink = std::function<void(std::span<const std::byte>)>;

enum class Direction { kToNative, kToHf };
/// Walks a proven map on bytes. Gathers the pieces of a destination from the source side and casts where dtypes differ.
/// All methods may be called from several threads at once; each call at work holds two buffers of `buffer_bytes`,
/// which later calls reuse. Keeps a copy of the map. Throws kInternal on a call that does not fit the map.
class Executor {
 public:
  Executor(const Map& map, Direction direction, ByteReader source, size_t buffer_bytes = 8u << 20);
  ~Executor();
  /// One destination tensor, front to back. Returns how many values were rounded (as cast_elements counts them).
  uint64_t produce(uint32_t destination, const ByteSink& sink);
  /// Elements [begin, end) of the destination tensor (row-major) into `out`, in the destination's dtype.
  uint64_t produce_range(uint32_t destination, int64_t begin, int64_t end, std::span<std::byte> out);
  /// The box of the destination's view, row-major into `out`: what a rank holds (spec::rank_box).
  uint64_t produce_box(uint32_t destination, const Shape& lo, const Shape& hi, std::span<std::byte> out);
  /// What the source states twice or as a constant: kToNative compares every kCopies piece with the box that it
  /// repeats, both directions compare kFill boxes of the source with their value. Throws kInput naming the tensors.
  void check_copies();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rialto::bridge
