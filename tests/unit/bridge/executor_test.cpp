// The executor against a naive reference that moves one element at a time; round trips; copies, fills, casts, limits.
#include <cstring>
#include <thread>

#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "rialto/base/number.h"
#include "rialto/bridge/strided.h"
#include "tests/unit/bridge/toy_rows.h"

namespace rialto::bridge {
namespace {

using Tensors = std::vector<std::vector<std::byte>>;

size_t bytes_of(const TensorInfo& tensor) {
  return static_cast<size_t>(num_elements(tensor.shape)) * size_of(tensor.dtype);
}

/// Values that bf16 and fp16 hold exactly, all different in small tensors.
Tensors random_tensors(const std::vector<TensorInfo>& infos, std::mt19937& random) {
  Tensors tensors;
  for (const TensorInfo& info : infos) {
    std::vector<std::byte>& bytes = tensors.emplace_back(bytes_of(info));
    for (size_t i = 0; i < bytes.size() / size_of(info.dtype); ++i) {
      const float value = static_cast<float>(static_cast<int>(random() % 255) - 127) / 8;
      cast_elements(&value, DType::kF32, bytes.data() + i * size_of(info.dtype), info.dtype, 1);
    }
  }
  return tensors;
}

ByteReader reader_of(const Tensors& tensors) {
  return [&tensors](uint32_t index, uint64_t begin, std::span<std::byte> out) {
    ASSERT_LE(begin + out.size(), tensors.at(index).size());
    std::memcpy(out.data(), tensors[index].data() + begin, out.size());
  };
}

Tensors produce_all(const Map& map, Direction direction, const Tensors& source, size_t buffer) {
  Executor executor(map, direction, reader_of(source), buffer);
  executor.check_copies();
  Tensors out;
  const auto& infos = direction == Direction::kToNative ? map.native : map.hf;
  for (uint32_t i = 0; i < infos.size(); ++i) {
    std::vector<std::byte>& bytes = out.emplace_back();
    executor.produce(i, [&](std::span<const std::byte> part) {
      EXPECT_LE(part.size(), std::max<size_t>(buffer, 64));
      bytes.insert(bytes.end(), part.begin(), part.end());
    });
    EXPECT_EQ(bytes.size(), bytes_of(infos[i]));
  }
  return out;
}

/// Native elements one by one, by the definition of a piece.
Tensors naive_native(const Map& map, const Tensors& hf) {
  Tensors out;
  for (const TensorInfo& info : map.native) out.emplace_back(bytes_of(info), std::byte{0xee});
  for (const Piece& piece : map.pieces) {
    if (piece.relation == Relation::kCopies) continue;
    const TensorInfo& native = map.native[piece.native.tensor];
    const Shape native_strides = strides_of(native.view);
    const Shape sizes = spec::Extent{piece.native.lo, piece.native.hi}.sizes();
    for (int64_t step = 0; step < num_elements(sizes); ++step) {
      int64_t rest = step, to = 0, from = 0;
      for (size_t axis = sizes.size(); axis-- > 0; rest /= sizes[axis]) {
        to += (piece.native.lo[axis] + rest % sizes[axis]) * native_strides[axis];
        if (piece.relation == Relation::kFill) continue;
        const size_t there = piece.axes.empty() ? axis : piece.axes[axis];
        from += (piece.hf.lo[there] + rest % sizes[axis]) * strides_of(map.hf[piece.hf.tensor].view)[there];
      }
      std::byte* const target = out[piece.native.tensor].data() + static_cast<size_t>(to) * size_of(native.dtype);
      const auto fill = static_cast<float>(piece.fill);
      if (piece.relation == Relation::kFill)
        cast_elements(&fill, DType::kF32, target, native.dtype, 1);
      else
        cast_elements(hf[piece.hf.tensor].data() + static_cast<size_t>(from) * size_of(map.hf[piece.hf.tensor].dtype),
                      map.hf[piece.hf.tensor].dtype, target, native.dtype, 1);
    }
  }
  return out;
}

constexpr size_t kBuffers[] = {1, 64, 200, 1000, 1 << 20};

TEST(Executor, RandomMapsEqualTheReferenceAndComeBack) {
  std::mt19937 random(4);
  for (int round = 0; round < 400; ++round) {
    Map map = test::random_map(random, true, true);
    const DType types[] = {DType::kF32, DType::kBF16, DType::kF16};
    for (TensorInfo& tensor : map.hf) tensor.dtype = types[random() % 3];
    map.native[0].dtype = types[random() % 3];
    const Tensors hf = random_tensors(map.hf, random);
    const size_t buffer = kBuffers[static_cast<size_t>(round) % std::size(kBuffers)];
    const Tensors native = produce_all(map, Direction::kToNative, hf, buffer);
    ASSERT_EQ(native, naive_native(map, hf)) << "round " << round;
    ASSERT_EQ(produce_all(map, Direction::kToHf, native, buffer), hf) << "round " << round;
  }
}

TEST(Executor, ModelsRoundTripAtEveryBufferSize) {
  std::mt19937 random(5);
  const Map map = make_map(test::toy_model({.layers = 2, .qkv_bias = true, .qk_norm = true}), test::kToyRows);
  const Tensors hf = random_tensors(map.hf, random);
  for (const size_t buffer : kBuffers) {
    const Tensors native = produce_all(map, Direction::kToNative, hf, buffer);
    EXPECT_EQ(native, naive_native(map, hf));
    EXPECT_EQ(produce_all(map, Direction::kToHf, native, buffer), hf);
  }
}

TEST(Executor, RangesAndBoxesAreCutsOfTheTensor) {
  std::mt19937 random(6);
  const Map map = make_map(test::toy_model({.layers = 1}), test::kToyRows);
  const Tensors hf = random_tensors(map.hf, random);
  const Tensors native = naive_native(map, hf);
  Executor executor(map, Direction::kToNative, reader_of(hf), 256);
  for (uint32_t index = 0; index < map.native.size(); ++index) {
    const TensorInfo& tensor = map.native[index];
    const int64_t total = num_elements(tensor.shape);
    for (int round = 0; round < 10; ++round) {
      const int64_t begin = static_cast<int64_t>(random() % static_cast<uint64_t>(total));
      const int64_t end = begin + static_cast<int64_t>(random() % static_cast<uint64_t>(total - begin + 1));
      std::vector<std::byte> out(static_cast<size_t>(end - begin) * 2);
      executor.produce_range(index, begin, end, out);
      ASSERT_TRUE(std::equal(out.begin(), out.end(), native[index].begin() + begin * 2));
    }
    // Halves along each axis, as tensor-parallel ranks hold them.
    for (size_t axis = 0; axis < tensor.view.size(); ++axis) {
      Shape lo(tensor.view.size(), 0), hi = tensor.view;
      lo[axis] = tensor.view[axis] / 2;
      const Shape sizes = spec::Extent{lo, hi}.sizes();
      std::vector<std::byte> out(static_cast<size_t>(num_elements(sizes)) * 2), want(out.size());
      executor.produce_box(index, lo, hi, out);
      copy_strided(make_loops(sizes, strides_of(tensor.view), strides_of(sizes)),
                   native[index].data() + lo[axis] * strides_of(tensor.view)[axis] * 2, want.data(), 2);
      ASSERT_EQ(out, want) << tensor.name << " axis " << axis;
    }
  }
  std::vector<std::byte> out(2);
  EXPECT_THROW(executor.produce_range(0, 0, 2, out), Error);
  EXPECT_THROW(executor.produce_range(0, -1, 0, out), Error);
  EXPECT_THROW(executor.produce_box(0, {0, 0}, {51, 1}, out), Error);
  EXPECT_THROW(executor.produce_box(0, {0}, {1}, out), Error);
}

TEST(Executor, CountsWhatCastingRounds) {
  Map map = make_map(test::toy_model({.layers = 1, .dtype = DType::kF32}), test::kToyRows);
  map.native[0].dtype = DType::kBF16;
  std::mt19937 random(7);
  Tensors hf = random_tensors(map.hf, random);
  const float third = 1.0f / 3;
  for (size_t i = 0; i < 5; ++i) std::memcpy(hf[0].data() + i * 40, &third, 4);
  Executor executor(map, Direction::kToNative, reader_of(hf), 100);
  EXPECT_EQ(executor.produce(0, [](auto) {}), 5u);
  EXPECT_EQ(executor.produce(1, [](auto) {}), 0u);
}

class TiedHead : public testing::Test {
 protected:
  TiedHead() {
    map = make_map(test::toy_model({.layers = 1, .tied = true}), test::kToyRows);
    std::vector<SourceTensor> source = test::source_of(map);
    source.push_back({"lm_head.weight", {50, 24}, DType::kBF16});
    match_source(map, source, {});
    std::mt19937 random(8);
    hf = random_tensors(map.hf, random);
    hf.back() = hf.front();
  }
  Map map;
  Tensors hf;
};

TEST_F(TiedHead, EqualCopiesPassAndAreWrittenAgain) {
  for (const size_t buffer : kBuffers) {
    const Tensors native = produce_all(map, Direction::kToNative, hf, buffer);
    EXPECT_EQ(produce_all(map, Direction::kToHf, native, buffer), hf);
  }
}

TEST_F(TiedHead, AnyBitThatDiffersIsFound) {
  for (size_t byte = 0; byte < hf.back().size(); byte += 97) {
    Tensors damaged = hf;
    damaged.back()[byte] ^= std::byte{1};
    Executor executor(map, Direction::kToNative, reader_of(damaged), 300);
    try {
      executor.check_copies();
      FAIL() << byte;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_NE(std::string(error.what()).find("lm_head.weight"), std::string::npos);
      EXPECT_NE(std::string(error.what()).find("model.embed_tokens.weight"), std::string::npos);
    }
  }
}

TEST_F(TiedHead, ACopyThatOnlyRoundsToTheSameIsNoCopy) {
  map.hf.back().dtype = DType::kF32;
  std::vector<std::byte> wide(hf.front().size() * 2);
  cast_elements(hf.front().data(), DType::kBF16, wide.data(), DType::kF32, wide.size() / 4);
  hf.back() = wide;
  EXPECT_NO_THROW(Executor(map, Direction::kToNative, reader_of(hf), 300).check_copies());
  hf.back()[4] ^= std::byte{1};  // lowest bit of an fp32 value: gone in bf16
  EXPECT_THROW(Executor(map, Direction::kToNative, reader_of(hf), 300).check_copies(), Error);
}

TEST(Executor, FillsOfTheSourceAreChecked) {
  // Vocabulary padding: rows 3 and 4 of the native tensor are zero and belong to no HF tensor.
  Map map;
  map.native.push_back({"n", {5, 4}, {5, 4}});
  map.hf.push_back({"h", {3, 4}, {3, 4}});
  map.pieces.push_back({.hf = {0, {0, 0}, {3, 4}}, .native = {0, {0, 0}, {3, 4}}});
  map.pieces.push_back({.hf = {}, .native = {0, {3, 0}, {5, 4}}, .relation = Relation::kFill, .fill = 0});
  std::mt19937 random(9);
  const Tensors hf = random_tensors(map.hf, random);
  Tensors native = produce_all(map, Direction::kToNative, hf, 64);
  EXPECT_EQ(produce_all(map, Direction::kToHf, native, 64), hf);
  native[0][4 * 17 + 2] = std::byte{1};
  EXPECT_THROW(Executor(map, Direction::kToHf, reader_of(native), 64).check_copies(), Error);
}

TEST(Executor, AnIncompleteMapNeverRuns) {
  Map map = make_map(test::toy_model(), test::kToyRows);
  map.pieces.pop_back();
  EXPECT_THROW(Executor(map, Direction::kToNative, [](auto, auto, auto) {}), Error);
}

TEST(Executor, ThreadsShareOneExecutor) {
  std::mt19937 random(10);
  const Map map = make_map(test::toy_model({.layers = 4}), test::kToyRows);
  const Tensors hf = random_tensors(map.hf, random);
  const Tensors want = naive_native(map, hf);
  Executor executor(map, Direction::kToNative, reader_of(hf), 512);
  std::vector<std::thread> threads;
  std::vector<int> wrong(3, 0);
  for (size_t thread = 0; thread < wrong.size(); ++thread)
    threads.emplace_back([&, thread] {
      for (uint32_t i = 0; i < map.native.size(); ++i) {
        std::vector<std::byte> bytes;
        executor.produce(i,
                         [&](std::span<const std::byte> part) { bytes.insert(bytes.end(), part.begin(), part.end()); });
        wrong[thread] += bytes != want[i];
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(3, 0));
}

struct Requests {
  size_t count = 0, bytes = 0, useful = 0;
};
Requests requests_of(const Map& map, Direction direction) {
  Requests requests;
  Executor executor(map, direction, [&](uint32_t, uint64_t, std::span<std::byte> out) {
    ++requests.count;
    requests.bytes += out.size();
  });
  const auto& infos = direction == Direction::kToNative ? map.native : map.hf;
  for (uint32_t i = 0; i < infos.size(); ++i) {
    executor.produce(i, [](auto) {});
    requests.useful += bytes_of(infos[i]);
  }
  return requests;
}

TEST(Executor, ReadsInLargeRequests) {
  for (const Direction direction : {Direction::kToNative, Direction::kToHf}) {
    // Sizes of a 1B model, and of a narrow one whose heads are short: nothing is read twice or for nothing, never by
    // rows.
    for (const int64_t hidden : {2048, 512}) {
      const Map map = make_map(test::toy_model({.layers = 1,
                                                .hidden = hidden,
                                                .heads = 32,
                                                .groups = 8,
                                                .head_dim = 64,
                                                .ffn = 8192,
                                                .vocab = 1000,
                                                .qkv_bias = true}),
                               test::kToyRows);
      const Requests requests = requests_of(map, direction);
      EXPECT_LT(requests.bytes, requests.useful + requests.useful / 20);
      EXPECT_LT(requests.count, 90u);
    }
    // Small tensors: one request for each piece.
    const Map map = make_map(test::toy_model({.qkv_bias = true}), test::kToyRows);
    EXPECT_LE(requests_of(map, direction).count, map.pieces.size());
  }
}

}  // namespace
}  // namespace rialto::bridge
