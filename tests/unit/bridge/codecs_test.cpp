// Codes and scales against their definitions, computed the long way.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "rialto/base/number.h"
#include "rialto/bridge/codecs/codec.h"
#include "rialto/bridge/codecs/lanes.h"

namespace rialto::bridge {
namespace {

/// OFP8 e4m3: sign, four bits of exponent with bias 7, three of mantissa; no infinities.
double e4m3(int code) {
  const int exponent = (code >> 3) & 15, mantissa = code & 7;
  if (exponent == 15 && mantissa == 7) return std::nan("");
  const double value = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  return (code & 128) != 0 ? -value : value;
}
double e2m1(int code) {
  const int exponent = (code >> 1) & 3, mantissa = code & 1;
  const double value = exponent == 0 ? 0.5 * mantissa : std::ldexp(2 + mantissa, exponent - 2);
  return (code & 8) != 0 ? -value : value;
}

/// A source held in memory.
struct Memory {
  std::vector<SourceTensor> tensors;
  std::vector<std::vector<std::byte>> bytes;
  void add(std::string name, Shape shape, DType dtype, std::vector<std::byte> data) {
    ASSERT_EQ(data.size(), static_cast<size_t>(num_elements(shape)) * size_of(dtype));
    tensors.push_back({std::move(name), std::move(shape), dtype});
    bytes.push_back(std::move(data));
  }
  ByteReader reader() const {
    return [this](uint32_t index, uint64_t begin, std::span<std::byte> out) {
      ASSERT_LE(begin + out.size(), bytes.at(index).size());
      std::memcpy(out.data(), bytes[index].data() + begin, out.size());
    };
  }
};

std::vector<std::byte> random_bytes(size_t count, unsigned seed, int below = 256) {
  std::mt19937 draw(seed);
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(draw() % static_cast<unsigned>(below));
  return bytes;
}
template <class T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}
std::vector<float> random_scales(size_t count, unsigned seed) {
  std::mt19937 draw(seed);
  std::uniform_real_distribution<float> between(1e-4f, 3e-3f);
  std::vector<float> scales(count);
  for (float& scale : scales) scale = between(draw);
  return scales;
}

std::vector<float> decoded(const DecodedSource& source, const Memory& memory, int64_t first, int64_t count,
                           DType type) {
  const ByteReader read = decoding_reader(source, memory.reader(), type);
  std::vector<std::byte> bytes(static_cast<size_t>(count) * size_of(type));
  read(static_cast<uint32_t>(source.tensors.size() - 1), static_cast<uint64_t>(first) * size_of(type), bytes);
  std::vector<float> values(static_cast<size_t>(count));
  cast_elements(bytes.data(), type, values.data(), DType::kF32, values.size());
  return values;
}

/// Every element, and ranges that begin and end anywhere, in both types.
void expect_decodes(const Memory& memory, const std::function<float(int64_t)>& want) {
  const DecodedSource source = find_coded(memory.tensors, DType::kBF16);
  ASSERT_EQ(source.coded.size(), 1u);
  const int64_t count = num_elements(source.coded[0].shape);
  std::mt19937 draw(7);
  for (int trial = 0; trial < 40; ++trial) {
    const int64_t first = trial == 0 ? 0 : static_cast<int64_t>(draw()) % count;
    const int64_t length = trial == 0 ? count : 1 + static_cast<int64_t>(draw()) % (count - first);
    for (const DType type : {DType::kF32, DType::kBF16}) {
      const std::vector<float> got = decoded(source, memory, first, length, type);
      for (int64_t i = 0; i < length; ++i) {
        float expected = want(first + i);
        if (type == DType::kBF16) expected = bf16_to_f32(f32_to_bf16(expected));
        const float value = got[static_cast<size_t>(i)];
        if (std::isnan(expected))
          ASSERT_TRUE(std::isnan(value));
        else
          ASSERT_EQ(std::bit_cast<uint32_t>(value), std::bit_cast<uint32_t>(expected)) << first << " + " << i;
      }
    }
  }
}

Memory fp8_block(int64_t rows, int64_t cols, unsigned seed, int below = 256) {
  Memory memory;
  memory.add("a.weight", {rows, cols}, DType::kF8E4M3, random_bytes(static_cast<size_t>(rows * cols), seed, below));
  const Shape scales = {(rows + 127) / 128, (cols + 127) / 128};
  memory.add("a.weight_scale_inv", scales, DType::kF32,
             bytes_of(random_scales(static_cast<size_t>(num_elements(scales)), seed + 1)));
  return memory;
}

TEST(Codecs, EveryFp8CodeIsItsDefinition) {
  std::vector<uint8_t> codes(256);
  for (size_t i = 0; i < 256; ++i) codes[i] = static_cast<uint8_t>(i);
  std::vector<float> values(256);
  lanes::decode_fp8(codes.data(), 256, 1.0f, values.data());
  for (int i = 0; i < 256; ++i) {
    const auto want = static_cast<float>(e4m3(i));
    if (std::isnan(want))
      EXPECT_TRUE(std::isnan(values[static_cast<size_t>(i)])) << i;
    else
      EXPECT_EQ(std::bit_cast<uint32_t>(values[static_cast<size_t>(i)]), std::bit_cast<uint32_t>(want)) << i;
  }
}

TEST(Codecs, Fp8IsRoundedToTheNearestCodeTiesToEven) {
  std::mt19937 draw(3);
  std::uniform_real_distribution<float> exponent(-12, 9.2f);
  for (int trial = 0; trial < 20000; ++trial) {
    float value = std::exp2(exponent(draw)) * (draw() % 2 != 0 ? 1.0f : -1.0f);
    if (trial % 3 == 0) value = static_cast<float>((e4m3(trial % 125) + e4m3(trial % 125 + 1)) / 2);  // ties
    uint8_t code = 0;
    lanes::encode_fp8(&value, 1, 1.0f, &code);
    int best = 0;
    for (int other = 0; other < 127; ++other) {
      const double far = std::fabs(std::fabs(static_cast<double>(value)) - e4m3(other));
      const double nearest = std::fabs(std::fabs(static_cast<double>(value)) - e4m3(best));
      if (far < nearest || (far == nearest && other % 2 == 0)) best = other;
    }
    ASSERT_EQ(code & 127, best) << value;
    ASSERT_EQ(code >> 7, std::signbit(value) ? 1 : 0);
  }
}

TEST(Codecs, Fp8BlocksAndTheirRaggedEdges) {
  const Memory memory = fp8_block(150, 290, 1);
  const auto* scales = reinterpret_cast<const float*>(memory.bytes[1].data());
  expect_decodes(memory, [&](int64_t i) {
    const int64_t row = i / 290, col = i % 290;
    return static_cast<float>(e4m3(static_cast<int>(memory.bytes[0][static_cast<size_t>(i)]))) *
           scales[row / 128 * 3 + col / 128];
  });
}

TEST(Codecs, Fp8WithOneScale) {
  Memory memory;
  memory.add("w", {5, 33}, DType::kF8E4M3, random_bytes(165, 2));
  memory.add("w_scale", {}, DType::kF32, bytes_of(std::vector<float>{0.0123f}));
  expect_decodes(memory, [&](int64_t i) {
    return static_cast<float>(e4m3(static_cast<int>(memory.bytes[0][static_cast<size_t>(i)]))) * 0.0123f;
  });
}

TEST(Codecs, Mxfp4) {
  Memory memory;
  memory.add("experts.gate_up_proj_blocks", {2, 3, 2, 16}, DType::kU8, random_bytes(192, 4));
  memory.add("experts.gate_up_proj_scales", {2, 3, 2}, DType::kU8, random_bytes(12, 5));
  EXPECT_EQ(find_coded(memory.tensors, DType::kBF16).tensors[0].name, "experts.gate_up_proj_blocks");
  EXPECT_EQ(find_coded(memory.tensors, DType::kBF16).tensors[0].shape, (Shape{2, 3, 64}));
  expect_decodes(memory, [&](int64_t i) {
    const int byte = static_cast<int>(memory.bytes[0][static_cast<size_t>(i / 2)]);
    const int scale = static_cast<int>(memory.bytes[1][static_cast<size_t>(i / 32)]);
    if (scale == 255) return std::nanf("");
    return static_cast<float>(std::ldexp(e2m1(i % 2 == 0 ? byte & 15 : byte >> 4), scale - 127));
  });
}

Memory int4(int64_t rows, int64_t cols, int64_t group) {
  Memory memory;
  memory.add("w.weight_packed", {rows, cols / 8}, DType::kI32, random_bytes(static_cast<size_t>(rows * cols / 2), 6));
  std::vector<uint16_t> scales;
  for (const float scale : random_scales(static_cast<size_t>(rows * cols / group), 8))
    scales.push_back(f32_to_bf16(scale));
  memory.add("w.weight_scale", {rows, cols / group}, DType::kBF16, bytes_of(scales));
  memory.add("w.weight_shape", {2}, DType::kI64, bytes_of(std::vector<int64_t>{rows, cols}));
  return memory;
}

TEST(Codecs, Int4Groups) {
  const Memory memory = int4(6, 64, 32);
  expect_decodes(memory, [&](int64_t i) {
    const int byte = static_cast<int>(memory.bytes[0][static_cast<size_t>(i / 2)]);
    uint16_t scale = 0;
    std::memcpy(&scale, memory.bytes[1].data() + i / 32 * 2, 2);
    return static_cast<float>((i % 2 == 0 ? byte & 15 : byte >> 4) - 8) * bf16_to_f32(scale);
  });
}

template <class Change>
std::string refusal(Memory memory, Change change) {
  change(memory);
  try {
    const DecodedSource source = find_coded(memory.tensors, DType::kBF16);
    decoding_reader(source, memory.reader(), DType::kBF16);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "accepted";
}

TEST(Codecs, CodesWithoutFittingScalesAreRefusedByName) {
  const Memory fp8 = fp8_block(130, 130, 1);
  EXPECT_EQ(refusal(fp8, [](Memory&) {}), "accepted");
  EXPECT_NE(refusal(fp8, [](Memory& m) { m.tensors.pop_back(); }).find("[a.weight] holds codes without"),
            std::string::npos);
  EXPECT_NE(refusal(fp8, [](Memory& m) { m.tensors[1].shape = {2, 1}; }).find("do not fit 'a.weight'"),
            std::string::npos);
  EXPECT_NE(refusal(fp8, [](Memory& m) { m.tensors[1].dtype = DType::kI32; }).find("unexpected type"),
            std::string::npos);
  EXPECT_NE(refusal(fp8, [](Memory& m) { m.tensors[0].dtype = DType::kF8E5M2; }).find("F8_E5M2"), std::string::npos);
  const Memory packed = int4(4, 64, 32);
  EXPECT_EQ(refusal(packed, [](Memory&) {}), "accepted");
  EXPECT_NE(refusal(packed, [](Memory& m) { m.tensors.pop_back(); }).find("weight_shape"), std::string::npos);
  EXPECT_NE(refusal(packed, [](Memory& m) { m.bytes[2][8] = std::byte{60}; }).find("disagrees with the packed codes"),
            std::string::npos);
  EXPECT_NE(refusal(packed, [](Memory& m) { m.tensors[1].shape = {4, 3}; }).find("no array of packed"),
            std::string::npos);
}

/// The source without the tensor of that name.
std::string refusal_without(const Memory& memory, std::string_view name) {
  return refusal(memory, [&](Memory& m) {
    const auto at = std::find_if(m.tensors.begin(), m.tensors.end(), [&](const auto& t) { return t.name == name; });
    ASSERT_NE(at, m.tensors.end());
    m.bytes.erase(m.bytes.begin() + (at - m.tensors.begin()));
    m.tensors.erase(at);
  });
}

TEST(Codecs, OfAllFourNoneGoesWithoutItsScales) {
  Memory whole;  // FP8 with one scale
  whole.add("w", {5, 33}, DType::kF8E4M3, random_bytes(165, 2));
  whole.add("w_scale", {}, DType::kF32, bytes_of(std::vector<float>{0.0123f}));
  Memory experts;
  experts.add("x_blocks", {2, 3, 2, 16}, DType::kU8, random_bytes(192, 4));
  experts.add("x_scales", {2, 3, 2}, DType::kU8, random_bytes(12, 5));
  const auto expect_named = [](const std::string& text, const char* codes, const char* scales) {
    EXPECT_TRUE(text.starts_with(std::string("[") + codes + "] holds codes without their scales")) << text;
    EXPECT_NE(text.find(scales), std::string::npos) << text;
  };
  expect_named(refusal_without(fp8_block(130, 130, 1), "a.weight_scale_inv"), "a.weight", "a.weight_scale_inv");
  expect_named(refusal_without(whole, "w_scale"), "w", "w_scale");
  expect_named(refusal_without(experts, "x_scales"), "x_blocks", "x_scales");
  expect_named(refusal_without(int4(4, 64, 32), "w.weight_scale"), "w.weight_packed", "w.weight_scale");
}

/// Decodes a block-coded tensor and encodes it again with `scales`.
struct Again {
  std::vector<float> scales;
  std::vector<std::byte> codes;
  int64_t changed = 0;
};
std::vector<float> scales_in(const Memory& memory) {
  const DecodedSource source = find_coded(memory.tensors, DType::kBF16);
  std::vector<float> scales(static_cast<size_t>(source.coded[0].scale_rows() * source.coded[0].scale_cols()));
  widen_scales(source.coded[0], memory.bytes[1], scales);
  return scales;
}
Again encode_again(const Memory& memory, std::vector<float> values, std::vector<float> scales) {
  const DecodedSource source = find_coded(memory.tensors, DType::kBF16);
  Again again{std::move(scales), std::vector<std::byte>(memory.bytes[0].size()), 0};
  again.changed = encode(source.coded[0], values, 0, source.coded[0].rows, DType::kBF16, again.scales, again.codes);
  return again;
}

TEST(Codecs, UnchangedBlocksGetTheirCodesBack) {
  const Memory memory = fp8_block(200, 300, 11, 127);  // no NaN
  const DecodedSource source = find_coded(memory.tensors, DType::kBF16);
  std::vector<float> values = decoded(source, memory, 0, 200 * 300, DType::kBF16);
  const Again same = encode_again(memory, values, scales_in(memory));
  EXPECT_EQ(same.changed, 0);
  EXPECT_EQ(same.codes, memory.bytes[0]);
  EXPECT_EQ(same.scales, scales_in(memory));
  values[150 * 300 + 140] *= 1.01f;  // row block 1, column block 1
  const Again one = encode_again(memory, values, scales_in(memory));
  EXPECT_EQ(one.changed, 1);
  EXPECT_NE(one.scales[4], scales_in(memory)[4]);
}

TEST(Codecs, ASecondExportOfAFreshEncodingGivesTheSameCodes) {
  Memory memory = fp8_block(129, 131, 12);
  std::mt19937 draw(5);
  std::normal_distribution<float> normal(0, 0.02f);
  std::vector<float> values(129 * 131);
  for (float& value : values) value = bf16_to_f32(f32_to_bf16(normal(draw)));
  const Again first = encode_again(memory, values, std::vector<float>(4, std::nanf("")));
  EXPECT_EQ(first.changed, 4);
  float corner = 0;  // the block of the first 128 rows and the last 3 columns
  for (size_t row = 0; row < 128; ++row)
    corner = std::max(corner, lanes::max_magnitude(values.data() + row * 131 + 128, 3));
  EXPECT_EQ(first.scales[1], corner / 448);
  memory.bytes[0] = first.codes;
  memory.bytes[1] = bytes_of(first.scales);
  const DecodedSource source = find_coded(memory.tensors, DType::kBF16);
  const std::vector<float> back = decoded(source, memory, 0, 129 * 131, DType::kBF16);
  float largest = 0, worst = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    largest = std::max(largest, std::fabs(values[i]));
    worst = std::max(worst, std::fabs(values[i] - back[i]));
  }
  EXPECT_LE(worst, largest / 448 * 16 * 1.01f);  // half a step of the highest binade is 16
  const Again second = encode_again(memory, back, first.scales);
  EXPECT_EQ(second.changed, 0);
  EXPECT_EQ(second.codes, first.codes);
}

Memory mxfp4(unsigned seed) {
  Memory memory;
  memory.add("x_blocks", {4, 2, 16}, DType::kU8, random_bytes(128, seed));
  std::vector<std::byte> exponents = random_bytes(8, seed + 1, 10);
  for (std::byte& exponent : exponents) exponent = static_cast<std::byte>(static_cast<int>(exponent) + 115);
  memory.add("x_scales", {4, 2}, DType::kU8, exponents);
  return memory;
}

TEST(Codecs, UnchangedFourBitGroupsGetTheirCodesBack) {
  for (const Memory& memory : {int4(6, 64, 32), mxfp4(3)}) {
    const DecodedSource source = find_coded(memory.tensors, DType::kBF16);
    const int64_t count = num_elements(source.coded[0].shape);
    std::vector<float> values = decoded(source, memory, 0, count, DType::kBF16);
    const Again same = encode_again(memory, values, scales_in(memory));
    EXPECT_EQ(same.changed, 0) << source.coded[0].name;
    EXPECT_EQ(same.codes, memory.bytes[0]) << source.coded[0].name;
    std::vector<std::byte> scales(memory.bytes[1].size());
    narrow_scales(source.coded[0], same.scales, scales);
    EXPECT_EQ(scales, memory.bytes[1]) << source.coded[0].name;
    values[40] += 0.001f;  // in the second group of the first row
    const Again one = encode_again(memory, values, scales_in(memory));
    EXPECT_EQ(one.changed, 1) << source.coded[0].name;
  }
}

TEST(Codecs, FourBitValuesGoToTheNearestCode) {
  std::mt19937 draw(9);
  std::uniform_real_distribution<float> between(-9, 9);
  for (int trial = 0; trial < 4000; ++trial) {
    const float pair[2] = {between(draw), trial % 2 == 0 ? std::round(between(draw) * 4) / 4 : between(draw)};
    for (const bool is_e2m1 : {true, false}) {
      uint8_t byte = 0;
      lanes::encode_nibbles(is_e2m1, pair, 2, 1.0f, &byte);
      for (int i = 0; i < 2; ++i) {
        const int code = i == 0 ? byte & 15 : byte >> 4;
        const double got = is_e2m1 ? e2m1(code) : code - 8;
        for (int other = 0; other < 16; ++other) {
          const double want = is_e2m1 ? e2m1(other) : other - 8;
          ASSERT_LE(std::fabs(static_cast<double>(pair[i]) - got), std::fabs(static_cast<double>(pair[i]) - want))
              << pair[i];
        }
      }
    }
  }
}

TEST(Codecs, AZeroBlockAndAnInfiniteOne) {
  const Memory memory = fp8_block(2, 2, 1);
  const Again zero = encode_again(memory, {0, 0, 0, 0}, {std::nanf("")});
  EXPECT_EQ(zero.scales[0], 1.0f);
  EXPECT_EQ(zero.codes, std::vector<std::byte>(4));
  EXPECT_THROW(encode_again(memory, {1, INFINITY, 0, 0}, {std::nanf("")}), Error);
}

}  // namespace
}  // namespace rialto::bridge
