// Walks a map on bytes: for any box of a destination tensor, finds the source boxes, reads them in large requests and
// puts their elements where they belong. Both directions are the same walk over links that name destination and source.
#include <algorithm>
#include <cstring>
#include <mutex>
#include <numeric>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/number.h"
#include "rialto/bridge/plan.h"
#include "rialto/bridge/strided.h"

namespace rialto::bridge {
namespace {

/// A contiguous run at least this long is read straight to where it belongs.
constexpr int64_t kDirectBytes = 128 << 10;
/// What one more read request costs, in bytes that could be read meanwhile: smaller gaps are read over.
constexpr int64_t kRequestBytes = 64 << 10;
constexpr size_t kMinBufferBytes = 64;

/// A piece seen from the destination: destination axis a is source axis axes[a] or kNoAxis. An empty source box is a
/// fill.
struct Link {
  Box destination, source;
  std::vector<uint8_t> axes;
  double fill = 0;
};

std::vector<uint8_t> identity(size_t rank) {
  std::vector<uint8_t> axes(rank);
  std::iota(axes.begin(), axes.end(), uint8_t{0});
  return axes;
}

Link make_link(const Piece& piece, Direction direction) {
  const std::vector<uint8_t> axes = piece.axes.empty() ? identity(piece.native.lo.size()) : piece.axes;
  if (direction == Direction::kToNative) return {piece.native, piece.hf, axes, piece.fill};
  Link link{piece.hf, piece.native, std::vector<uint8_t>(piece.hf.lo.size(), kNoAxis), piece.fill};
  for (size_t axis = 0; axis < axes.size(); ++axis)
    if (axes[axis] != kNoAxis && !piece.hf.lo.empty()) link.axes[axes[axis]] = static_cast<uint8_t>(axis);
  return link;
}

/// The common part of two boxes; false when there is none.
bool intersect(const Shape& lo, const Shape& hi, const Box& box, Shape& low, Shape& high) {
  low.resize(lo.size());
  high.resize(lo.size());
  for (size_t axis = 0; axis < lo.size(); ++axis) {
    low[axis] = std::max(lo[axis], box.lo[axis]);
    high[axis] = std::min(hi[axis], box.hi[axis]);
    if (low[axis] >= high[axis]) return false;
  }
  return true;
}

Shape sizes_of(const Shape& lo, const Shape& hi) { return spec::Extent{lo, hi}.sizes(); }

struct Buffers {
  std::unique_ptr<std::byte[]> output, scratch;
};

}  // namespace

struct Executor::Impl {
  Impl(const Map& whole_map, Direction which, ByteReader source, size_t bytes)
      : map(whole_map),
        direction(which),
        read(std::move(source)),
        buffer_bytes(static_cast<int64_t>(std::max(bytes, kMinBufferBytes))) {}

  Map map;
  Direction direction;
  ByteReader read;
  int64_t buffer_bytes;
  std::vector<std::vector<Link>> links;  ///< per destination tensor
  std::vector<Link> copies;              ///< to native: what the source repeats
  std::vector<Box> source_fills;         ///< boxes of the source that must hold a constant
  std::vector<double> fill_values;
  std::mutex mutex;
  std::vector<Buffers> idle;

  const std::vector<TensorInfo>& destinations() const {
    return direction == Direction::kToNative ? map.native : map.hf;
  }
  const std::vector<TensorInfo>& sources() const { return direction == Direction::kToNative ? map.hf : map.native; }

  /// Buffers for one call, given back at its end.
  class Lease {
   public:
    explicit Lease(Impl& impl) : impl_(impl) {
      {
        const std::lock_guard lock(impl.mutex);
        if (!impl.idle.empty()) {
          buffers = std::move(impl.idle.back());
          impl.idle.pop_back();
          return;
        }
      }
      const auto size = static_cast<size_t>(impl.buffer_bytes);
      buffers = {std::make_unique_for_overwrite<std::byte[]>(size), std::make_unique_for_overwrite<std::byte[]>(size)};
    }
    ~Lease() {
      const std::lock_guard lock(impl_.mutex);
      impl_.idle.push_back(std::move(buffers));
    }
    Lease(const Lease&) = delete;
    Buffers buffers;

   private:
    Impl& impl_;
  };

  /// Where elements go: from which source tensor, as which type, through which scratch memory.
  struct Route {
    uint32_t tensor = 0;
    DType from, to;
    std::byte* scratch = nullptr;
  };

  void prepare();
  int64_t max_elements(uint32_t destination) const;
  uint64_t gather(uint32_t destination, const Shape& lo, const Shape& hi, std::byte* out, std::byte* scratch) const;
  uint64_t fetch(const Link& link, DType to, const Shape& lo, const Shape& hi, std::byte* out,
                 std::byte* scratch) const;
  uint64_t move(const Route& route, const std::vector<Loop>& loops, int64_t from, std::byte* out) const;
  uint64_t move_in_parts(const Route& route, const std::vector<Loop>& loops, size_t widest, int64_t block, int64_t from,
                         std::byte* out) const;
  void check_copy(const Link& copy);
  void check_fill(const Box& box, double value);
};

void Executor::Impl::prepare() {
  links.resize(destinations().size());
  for (const Piece& piece : map.pieces) {
    Link link = make_link(piece, direction);
    if (direction == Direction::kToNative && piece.relation == Relation::kCopies) {
      copies.push_back(std::move(link));
    } else if (link.destination.lo.empty()) {
      source_fills.push_back(link.source);
      fill_values.push_back(link.fill);
    } else {
      links[link.destination.tensor].push_back(std::move(link));
    }
  }
}

/// As many elements as fit a buffer. Where they arrive in a wider type, move() reads them in parts.
int64_t Executor::Impl::max_elements(uint32_t destination) const {
  return buffer_bytes / static_cast<int64_t>(size_of(destinations()[destination].dtype));
}

uint64_t Executor::Impl::gather(uint32_t destination, const Shape& lo, const Shape& hi, std::byte* out,
                                std::byte* scratch) const {
  uint64_t rounded = 0;
  for (const Link& link : links[destination])
    rounded += fetch(link, destinations()[destination].dtype, lo, hi, out, scratch);
  return rounded;
}

/// The part of [lo, hi) that a link holds, into a row-major array of that box.
uint64_t Executor::Impl::fetch(const Link& link, DType to, const Shape& lo, const Shape& hi, std::byte* out,
                               std::byte* scratch) const {
  Shape low, high;
  if (!intersect(lo, hi, link.destination, low, high)) return 0;
  const Shape out_strides = strides_of(sizes_of(lo, hi));
  int64_t at = 0;
  for (size_t axis = 0; axis < lo.size(); ++axis) at += (low[axis] - lo[axis]) * out_strides[axis];
  std::byte* const begin = out + static_cast<size_t>(at) * size_of(to);
  if (link.source.lo.empty()) {
    std::byte value[8];
    const auto number = static_cast<float>(link.fill);
    cast_elements(&number, DType::kF32, value, to, 1);
    copy_strided(make_loops(sizes_of(low, high), Shape(lo.size(), 0), out_strides), value, begin, size_of(to));
    return 0;
  }
  const TensorInfo& source = sources()[link.source.tensor];
  const Shape source_strides = strides_of(source.view);
  Shape strides(lo.size(), 0);
  int64_t from = 0;
  for (size_t axis = 0; axis < source_strides.size(); ++axis) from += link.source.lo[axis] * source_strides[axis];
  for (size_t axis = 0; axis < lo.size(); ++axis) {
    if (link.axes[axis] == kNoAxis) continue;
    strides[axis] = source_strides[link.axes[axis]];
    from += (low[axis] - link.destination.lo[axis]) * strides[axis];
  }
  return move({link.source.tensor, source.dtype, to, scratch}, make_loops(sizes_of(low, high), strides, out_strides),
              from, begin);
}

/// Moves elements along the loops, from element `from` of the source tensor to `out`.
uint64_t Executor::Impl::move(const Route& route, const std::vector<Loop>& loops, int64_t from, std::byte* out) const {
  const auto width = static_cast<int64_t>(size_of(route.from));
  const auto out_width = static_cast<int64_t>(size_of(route.to));
  const Loop& run = loops.back();
  const bool contiguous = run.source == 1 && run.destination == 1;
  if (route.from == route.to && contiguous && (loops.size() == 1 || run.count * width >= kDirectBytes)) {
    for_each_run(loops, [&](int64_t source, int64_t destination) {
      read(route.tensor, static_cast<uint64_t>((from + source) * width),
           {out + destination * width, static_cast<size_t>(run.count * width)});
    });
    return 0;
  }
  const int64_t span = source_span(loops);
  const auto widest =
      std::max_element(loops.begin(), loops.end(), [](const Loop& a, const Loop& b) { return a.source < b.source; });
  const auto index = static_cast<size_t>(widest - loops.begin());
  if ((span - count_of(loops)) * width > widest->count * kRequestBytes)
    return move_in_parts(route, loops, index, 1, from, out);
  if (span * width > buffer_bytes) {
    const int64_t one_step = span - (widest->count - 1) * widest->source;
    const int64_t steps = (buffer_bytes / width - one_step) / widest->source + 1;
    return move_in_parts(route, loops, index, std::clamp<int64_t>(steps, 1, widest->count - 1), from, out);
  }
  read(route.tensor, static_cast<uint64_t>(from * width), {route.scratch, static_cast<size_t>(span * width)});
  if (route.from == route.to) {
    copy_strided(loops, route.scratch, out, static_cast<size_t>(width));
    return 0;
  }
  uint64_t rounded = 0;
  for_each_run(loops, [&](int64_t source, int64_t destination) {
    const std::byte* in = route.scratch + source * width;
    std::byte* to = out + destination * out_width;
    if (contiguous) {
      rounded += cast_elements(in, route.from, to, route.to, static_cast<size_t>(run.count));
      return;
    }
    for (int64_t i = 0; i < run.count; ++i)
      rounded +=
          cast_elements(in + i * run.source * width, route.from, to + i * run.destination * out_width, route.to, 1);
  });
  return rounded;
}

/// Goes through the loop with the widest source stride in parts of `block` steps.
uint64_t Executor::Impl::move_in_parts(const Route& route, const std::vector<Loop>& loops, size_t widest, int64_t block,
                                       int64_t from, std::byte* out) const {
  const Loop loop = loops[widest];
  uint64_t rounded = 0;
  for (int64_t first = 0; first < loop.count; first += block) {
    std::vector<Loop> part = loops;
    part[widest].count = std::min(block, loop.count - first);
    if (part[widest].count == 1) part.erase(part.begin() + static_cast<std::ptrdiff_t>(widest));
    if (part.empty()) part.push_back({1, 1, 1});
    rounded += move(route, part, from + first * loop.source,
                    out + first * loop.destination * static_cast<int64_t>(size_of(route.to)));
  }
  return rounded;
}

/// Lays the copy over what its canonical box gives: nothing may change.
void Executor::Impl::check_copy(const Link& copy) {
  const uint32_t native = copy.destination.tensor;
  const TensorInfo& tensor = map.native[native];
  const Lease lease(*this);
  std::vector<std::byte> overlaid(static_cast<size_t>(buffer_bytes));
  for_each_box(
      tensor.view, 0, num_elements(tensor.view), max_elements(native), [&](const Shape& lo, const Shape& hi, int64_t) {
        Shape low, high;
        if (!intersect(lo, hi, copy.destination, low, high)) return;
        std::byte* const canonical = lease.buffers.output.get();
        const size_t bytes = static_cast<size_t>(num_elements(sizes_of(lo, hi))) * size_of(tensor.dtype);
        gather(native, lo, hi, canonical, lease.buffers.scratch.get());
        std::memcpy(overlaid.data(), canonical, bytes);
        const uint64_t rounded = fetch(copy, tensor.dtype, lo, hi, overlaid.data(), lease.buffers.scratch.get());
        if (rounded == 0 && std::memcmp(overlaid.data(), canonical, bytes) == 0) return;
        const std::string& original = map.hf[links[native].front().source.tensor].name;
        throw Error(ErrorKind::kInput, map.hf[copy.source.tensor].name,
                    fmt::format("differs from '{}', which it must repeat", original),
                    {.hint = "a tied model has one matrix for both; should tie_word_embeddings be false?"});
      });
}

void Executor::Impl::check_fill(const Box& box, double value) {
  const TensorInfo& tensor = sources()[box.tensor];
  const size_t width = size_of(tensor.dtype);
  const Link link{box, box, identity(box.lo.size())};
  std::byte want[8];
  const auto number = static_cast<float>(value);
  cast_elements(&number, DType::kF32, want, tensor.dtype, 1);
  const Lease lease(*this);
  for_each_box(tensor.view, 0, num_elements(tensor.view), buffer_bytes / static_cast<int64_t>(width),
               [&](const Shape& lo, const Shape& hi, int64_t) {
                 Shape low, high;
                 if (!intersect(lo, hi, box, low, high)) return;
                 std::byte* const found = lease.buffers.output.get();
                 fetch(link, tensor.dtype, low, high, found, lease.buffers.scratch.get());
                 const auto count = static_cast<size_t>(num_elements(sizes_of(low, high)));
                 for (size_t i = 0; i < count; ++i)
                   if (std::memcmp(found + i * width, want, width) != 0)
                     throw Error(ErrorKind::kInput, tensor.name,
                                 fmt::format("holds something else than {} in the part from {} to {}", value,
                                             to_text(low), to_text(high)));
               });
}

Executor::Executor(const Map& map, Direction direction, ByteReader source, size_t buffer_bytes)
    : impl_(std::make_unique<Impl>(map, direction, std::move(source), buffer_bytes)) {
  prove_complete(impl_->map);
  impl_->prepare();
}
Executor::~Executor() = default;

uint64_t Executor::produce(uint32_t destination, const ByteSink& sink) {
  const TensorInfo& tensor = impl_->destinations().at(destination);
  const Impl::Lease lease(*impl_);
  uint64_t rounded = 0;
  std::byte* const out = lease.buffers.output.get();
  for_each_box(tensor.view, 0, num_elements(tensor.view), impl_->max_elements(destination),
               [&](const Shape& lo, const Shape& hi, int64_t) {
                 rounded += impl_->gather(destination, lo, hi, out, lease.buffers.scratch.get());
                 sink({out, static_cast<size_t>(num_elements(sizes_of(lo, hi))) * size_of(tensor.dtype)});
               });
  return rounded;
}

uint64_t Executor::produce_range(uint32_t destination, int64_t begin, int64_t end, std::span<std::byte> out) {
  const TensorInfo& tensor = impl_->destinations().at(destination);
  const size_t width = size_of(tensor.dtype);
  if (begin < 0 || end < begin || end > num_elements(tensor.view) ||
      out.size() != static_cast<size_t>(end - begin) * width)
    throw Error(ErrorKind::kInternal, tensor.name, "asked for a range that does not fit",
                {.got = fmt::format("elements {} to {} into {} bytes", begin, end, out.size())});
  const Impl::Lease lease(*impl_);
  uint64_t rounded = 0;
  for_each_box(tensor.view, begin, end, end - begin, [&](const Shape& lo, const Shape& hi, int64_t at) {
    rounded += impl_->gather(destination, lo, hi, out.data() + static_cast<size_t>(at - begin) * width,
                             lease.buffers.scratch.get());
  });
  return rounded;
}

uint64_t Executor::produce_box(uint32_t destination, const Shape& lo, const Shape& hi, std::span<std::byte> out) {
  const TensorInfo& tensor = impl_->destinations().at(destination);
  const Box whole{.tensor = destination, .lo = Shape(tensor.view.size(), 0), .hi = tensor.view};
  Shape low, high;
  if (lo.size() != tensor.view.size() || hi.size() != lo.size() || !intersect(lo, hi, whole, low, high) || low != lo ||
      high != hi || out.size() != static_cast<size_t>(num_elements(sizes_of(lo, hi))) * size_of(tensor.dtype))
    throw Error(ErrorKind::kInternal, tensor.name, "asked for a box that does not fit",
                {.got = fmt::format("{} to {} into {} bytes", to_text(lo), to_text(hi), out.size()),
                 .want = "a box inside " + to_text(tensor.view)});
  const Impl::Lease lease(*impl_);
  return impl_->gather(destination, lo, hi, out.data(), lease.buffers.scratch.get());
}

void Executor::check_copies() {
  for (const Link& copy : impl_->copies) impl_->check_copy(copy);
  for (size_t i = 0; i < impl_->source_fills.size(); ++i)
    impl_->check_fill(impl_->source_fills[i], impl_->fill_values[i]);
}

}  // namespace rialto::bridge
