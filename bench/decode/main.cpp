// Times a decoder from memory into reused memory and prints seconds per call (the median): bench_decode CODEC ROWS COLS
// CODEC: fp8, mxfp4 or int4; the tensor is decoded to bf16, [ROWS, COLS].
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>

#include "rialto/base/error.h"
#include "rialto/base/parallel.h"
#include "rialto/bridge/codecs/codec.h"

namespace {

using namespace rialto;
using namespace rialto::bridge;
using Clock = std::chrono::steady_clock;

std::vector<SourceTensor> stored(const std::string& codec, int64_t rows, int64_t cols) {
  if (codec == "fp8")
    return {{"x.weight", {rows, cols}, DType::kF8E4M3}, {"x.weight_scale_inv", {rows / 128, cols / 128}, DType::kF32}};
  if (codec == "mxfp4")
    return {{"x_blocks", {rows, cols / 32, 16}, DType::kU8}, {"x_scales", {rows, cols / 32}, DType::kU8}};
  return {{"x.weight_packed", {rows, cols / 8}, DType::kI32},
          {"x.weight_scale", {rows, cols / 32}, DType::kBF16},
          {"x.weight_shape", {2}, DType::kI64}};
}

double seconds_per_call(const std::string& codec, int64_t rows, int64_t cols) {
  const std::vector<SourceTensor> tensors = stored(codec, rows, cols);
  const DecodedSource source = find_coded(tensors, DType::kBF16);
  std::vector<std::vector<std::byte>> bytes;
  std::mt19937 random(1);
  for (const SourceTensor& tensor : tensors) {
    auto& data = bytes.emplace_back(static_cast<size_t>(num_elements(tensor.shape)) * size_of(tensor.dtype));
    for (std::byte& byte : data) byte = static_cast<std::byte>(random() % 120);  // every scale and code is a number
  }
  const ByteReader read = [&](uint32_t index, uint64_t begin, std::span<std::byte> out) {
    std::memcpy(out.data(), bytes[index].data() + begin, out.size());
  };
  const int64_t total = rows * cols, chunk = int64_t{2} << 20;  // elements, as the executor asks for them
  std::vector<std::byte> out(static_cast<size_t>(total) * 2);
  std::vector<double> times;
  for (int round = 0; round < 12; ++round) {
    const Clock::time_point start = Clock::now();
    parallel_for(static_cast<size_t>((total + chunk - 1) / chunk), available_threads(), [&](size_t i) {
      const int64_t first = static_cast<int64_t>(i) * chunk, count = std::min(chunk, total - first);
      decode(source.coded[0], read, first, count, DType::kBF16,
             std::span(out).subspan(static_cast<size_t>(first) * 2, static_cast<size_t>(count) * 2));
    });
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: bench_decode fp8|mxfp4|int4 ROWS COLS\n");
    return 2;
  }
  try {
    std::printf("%.6f\n", seconds_per_call(argv[1], std::stoll(argv[2]), std::stoll(argv[3])));
  } catch (const Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
