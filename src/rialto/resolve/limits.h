// Bounds that keep products of sizes inside int64 and a hostile file from asking for endless tables.
#pragma once

#include <cstdint>

namespace rialto::resolve {

inline constexpr int64_t kMaxLayers = 10'000, kMaxSize = 1 << 20, kMaxVocab = 1 << 28, kMaxExperts = 1 << 16;
inline constexpr int64_t kMaxExpertsOfModel = 1 << 20;  ///< in all layers together
inline constexpr int64_t kMaxPositions = int64_t{1} << 40;
inline constexpr int64_t kMaxMtpDepth = 16;
inline constexpr double kLargest = 1e12;

}  // namespace rialto::resolve
