// A rank's box, read through buffers of any size, equals slicing the whole tensor.
#include "rialto/checkpoint/box_reader.h"

#include <cstring>
#include <numeric>

#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "rialto/base/number.h"

namespace rialto::checkpoint {
namespace {

std::vector<float> counted(const Shape& view) {
  std::vector<float> values(static_cast<size_t>(num_elements(view)));
  std::iota(values.begin(), values.end(), 0.0f);
  return values;
}

ElementSource source_of(const std::vector<float>& values) {
  return {DType::kF32, static_cast<int64_t>(values.size()), [&values](int64_t begin, std::span<std::byte> out) {
            ASSERT_LE(static_cast<size_t>(begin) * 4 + out.size(), values.size() * 4);
            std::memcpy(out.data(), values.data() + begin, out.size());
          }};
}

/// The box by walking every element of the view.
std::vector<float> sliced(const std::vector<float>& values, const Shape& view, const spec::Extent& box) {
  std::vector<float> out;
  for (int64_t flat = 0; flat < num_elements(view); ++flat) {
    int64_t rest = flat;
    bool inside = true;
    for (size_t axis = view.size(); axis-- > 0;) {
      const int64_t at = rest % view[axis];
      rest /= view[axis];
      inside = inside && at >= box.lo[axis] && at < box.hi[axis];
    }
    if (inside) out.push_back(values[static_cast<size_t>(flat)]);
  }
  return out;
}

void check(const Shape& view, const spec::Extent& box) {
  const std::vector<float> values = counted(view);
  const std::vector<float> want = sliced(values, view, box);
  for (const size_t buffer : {size_t{4}, size_t{12}, size_t{64}, size_t{1} << 20}) {
    std::vector<float> got(want.size());
    const uint64_t rounded =
        read_box(source_of(values), view, box, DType::kF32, std::as_writable_bytes(std::span(got)), buffer);
    EXPECT_EQ(got, want) << "buffer " << buffer;
    EXPECT_EQ(rounded, 0u);
  }
}

TEST(BoxReaderTest, WholeTensor) { check({3, 4, 5}, {{0, 0, 0}, {3, 4, 5}}); }
TEST(BoxReaderTest, OuterCut) { check({4, 3, 2, 5}, {{1, 0, 0, 0}, {3, 3, 2, 5}}); }
TEST(BoxReaderTest, MiddleCutLikeGateAndUp) { check({2, 6, 5}, {{0, 3, 0}, {2, 6, 5}}); }
TEST(BoxReaderTest, InnerCutLikeRowParallel) { check({7, 6, 4}, {{0, 2, 0}, {7, 4, 4}}); }
TEST(BoxReaderTest, InnermostCut) { check({5, 9}, {{0, 4}, {5, 5}}); }
TEST(BoxReaderTest, EveryAxisCut) { check({4, 5, 6}, {{1, 2, 3}, {3, 4, 5}}); }
TEST(BoxReaderTest, OneElement) { check({3, 3}, {{2, 1}, {3, 2}}); }
TEST(BoxReaderTest, Vector) { check({11}, {{3}, {8}}); }

TEST(BoxReaderTest, CastsAndCountsRoundedValues) {
  const std::vector<float> values = {1.0f, 1.0f + 1e-3f, 2.0f, 3.14159f};
  std::vector<uint16_t> got(4);
  EXPECT_EQ(read_box(source_of(values), {4}, {{0}, {4}}, DType::kBF16, std::as_writable_bytes(std::span(got)), 8), 2u);
  EXPECT_EQ(got[3], f32_to_bf16(3.14159f));
}

TEST(BoxReaderTest, RefusesSizesThatDoNotFit) {
  const std::vector<float> values = counted({6});
  std::vector<float> got(3);
  EXPECT_THROW(read_box(source_of(values), {5}, {{0}, {3}}, DType::kF32, std::as_writable_bytes(std::span(got))),
               Error);
  EXPECT_THROW(read_box(source_of(values), {6}, {{0}, {4}}, DType::kF32, std::as_writable_bytes(std::span(got))),
               Error);
}

}  // namespace
}  // namespace rialto::checkpoint
