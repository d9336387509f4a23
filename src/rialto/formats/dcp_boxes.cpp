// Equal volume and no overlap mean an exact cover. Overlaps are looked for by cutting along one axis after the other.
#include "rialto/formats/dcp_boxes.h"

#include <algorithm>
#include <numeric>

#include "rialto/base/error.h"

namespace rialto::formats {

namespace {

constexpr size_t kMaxTangled = 4096;  // chunks that no straight cut separates are compared pairwise

class Tiling {
 public:
  Tiling(const std::string& name, const DcpTensor& tensor, std::string_view where)
      : name_(name), tensor_(tensor), where_(where) {}

  void check() {
    const size_t rank = tensor_.shape.size();
    int64_t covered = 0;
    std::vector<uint32_t> boxes;
    for (size_t i = 0; i < tensor_.chunks.size(); ++i) {
      const DcpChunk& chunk = tensor_.chunks[i];
      if (chunk.offsets.size() != rank || chunk.sizes.size() != rank)
        fail("has a chunk of another number of dimensions");
      for (size_t axis = 0; axis < rank; ++axis) {
        const int64_t lo = chunk.offsets[axis], size = chunk.sizes[axis], whole = tensor_.shape[axis];
        if (lo < 0 || size < 0 || lo > whole || size > whole - lo) {
          fail("has a chunk outside of its shape", to_text(chunk.sizes) + " at " + to_text(chunk.offsets));
        }
      }
      const int64_t count = num_elements(chunk.sizes);
      if (count == 0) continue;
      if (__builtin_add_overflow(covered, count, &covered)) fail("has chunks that overlap");
      boxes.push_back(static_cast<uint32_t>(i));
    }
    const int64_t total = num_elements(tensor_.shape);
    if (covered > total) fail("has chunks that overlap");
    if (covered < total)
      fail("is not covered by its chunks", std::to_string(covered) + " of " + std::to_string(total) + " elements");
    if (boxes.size() > 1) separate(boxes, 0, 0);
  }

 private:
  [[noreturn]] void fail(std::string_view what, std::string got = {}) const {
    throw Error(ErrorKind::kInput, where_, "'" + name_ + "' " + std::string(what),
                {.got = std::move(got), .want = got.empty() ? "" : to_text(tensor_.shape)});
  }

  /// `idle` axes in a row gave no cut; after all of them the boxes are tangled.
  void separate(std::span<uint32_t> boxes, size_t axis, size_t idle) {
    if (boxes.size() <= 1) return;
    const size_t rank = tensor_.shape.size();
    if (idle == rank || rank == 0) return compare_pairs(boxes);
    std::sort(boxes.begin(), boxes.end(), [&](uint32_t a, uint32_t b) { return lo(a, axis) < lo(b, axis); });
    size_t begin = 0;
    int64_t end = hi(boxes[0], axis);
    const size_t next = (axis + 1) % rank;
    for (size_t i = 1; i <= boxes.size(); ++i) {
      if (i < boxes.size() && lo(boxes[i], axis) < end) {
        end = std::max(end, hi(boxes[i], axis));
        continue;
      }
      const bool whole = begin == 0 && i == boxes.size();
      separate(boxes.subspan(begin, i - begin), next, whole ? idle + 1 : 0);
      if (i < boxes.size()) {
        begin = i;
        end = hi(boxes[i], axis);
      }
    }
  }

  void compare_pairs(std::span<uint32_t> boxes) {
    if (boxes.size() > kMaxTangled) fail("has too many chunks that interlock");
    for (size_t i = 0; i < boxes.size(); ++i) {
      for (size_t j = i + 1; j < boxes.size(); ++j) {
        bool apart = false;
        for (size_t axis = 0; axis < tensor_.shape.size() && !apart; ++axis) {
          apart = hi(boxes[i], axis) <= lo(boxes[j], axis) || hi(boxes[j], axis) <= lo(boxes[i], axis);
        }
        if (!apart)
          fail("has chunks that overlap",
               to_text(tensor_.chunks[boxes[i]].offsets) + " and " + to_text(tensor_.chunks[boxes[j]].offsets));
      }
    }
  }

  int64_t lo(uint32_t box, size_t axis) const { return tensor_.chunks[box].offsets[axis]; }
  int64_t hi(uint32_t box, size_t axis) const { return lo(box, axis) + tensor_.chunks[box].sizes[axis]; }

  const std::string& name_;
  const DcpTensor& tensor_;
  std::string_view where_;
};

}  // namespace

void check_tiling(const std::string& name, const DcpTensor& tensor, std::string_view where) {
  Tiling(name, tensor, where).check();
}

}  // namespace rialto::formats
