// Bins against plain scans of all open bins.
#include "rialto/data/packing.h"

#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

#include "rialto/base/random.h"
#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

constexpr PackAlgorithm kAll[] = {PackAlgorithm::kFirstFit, PackAlgorithm::kFirstFitShuffle,
                                  PackAlgorithm::kFirstFitDecreasing, PackAlgorithm::kBestFit};

std::vector<int32_t> drawn(size_t count, int32_t capacity, uint64_t seed, bool skewed) {
  const RandomStream random(seed, "lengths");
  std::vector<int32_t> lengths(count);
  for (size_t i = 0; i < count; ++i) {
    const auto most = static_cast<uint64_t>(skewed && i % 4 != 0 ? capacity / 8 : capacity);
    lengths[i] = static_cast<int32_t>(random.bits(i) % (most + 1));
  }
  return lengths;
}

/// Each row, in order, into a bin found by looking at all of them.
std::vector<std::vector<uint32_t>> scan(std::span<const int32_t> lengths, const std::vector<uint32_t>& order,
                                        int64_t capacity, bool best) {
  std::vector<std::vector<uint32_t>> bins;
  std::vector<int64_t> room;
  for (const uint32_t row : order) {
    size_t chosen = bins.size();
    for (size_t bin = 0; bin < bins.size(); ++bin) {
      if (room[bin] < lengths[row]) continue;
      if (chosen == bins.size() || (best && room[bin] < room[chosen])) chosen = bin;
      if (!best) break;
    }
    if (chosen == bins.size()) {
      bins.emplace_back();
      room.push_back(capacity);
    }
    bins[chosen].push_back(row);
    room[chosen] -= lengths[row];
  }
  return bins;
}

std::vector<std::vector<uint32_t>> lists(const Bins& bins) {
  std::vector<std::vector<uint32_t>> out;
  for (size_t bin = 0; bin < bins.count(); ++bin) out.emplace_back(bins[bin].begin(), bins[bin].end());
  return out;
}

TEST(Packing, EveryRowIsInOneBinAndNoBinOverflows) {
  for (const PackAlgorithm algorithm : kAll) {
    for (const int32_t capacity : {1, 7, 64, 4096}) {
      for (const size_t count : {1u, 2u, 5u, 1000u, 5000u}) {
        const auto lengths = drawn(count, capacity, count + static_cast<uint64_t>(capacity), count % 2 == 0);
        const Bins bins = pack(lengths, capacity, algorithm, 3);
        std::vector<int> seen(count, 0);
        for (size_t bin = 0; bin < bins.count(); ++bin) {
          ASSERT_FALSE(bins[bin].empty());
          int64_t used = 0;
          for (const uint32_t row : bins[bin]) {
            ++seen.at(row);
            used += lengths[row];
          }
          ASSERT_LE(used, capacity);
        }
        EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](int times) { return times == 1; }));
      }
    }
  }
}

TEST(Packing, TheSameBinsAsAScan) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    const int32_t capacity = seed % 2 == 0 ? 50 : 2048;
    const auto lengths = drawn(3000, capacity, seed, seed % 3 == 0);
    std::vector<uint32_t> order(lengths.size());
    std::iota(order.begin(), order.end(), 0u);
    EXPECT_EQ(lists(pack(lengths, capacity, PackAlgorithm::kFirstFit)), scan(lengths, order, capacity, false));
    EXPECT_EQ(lists(pack(lengths, capacity, PackAlgorithm::kBestFit)), scan(lengths, order, capacity, true));
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return lengths[a] > lengths[b]; });
    EXPECT_EQ(lists(pack(lengths, capacity, PackAlgorithm::kFirstFitDecreasing)),
              scan(lengths, order, capacity, false));
  }
}

TEST(Packing, AShuffleFollowsItsSeedAlone) {
  const auto lengths = drawn(2000, 512, 1, true);
  const auto bins = [&](uint64_t seed) { return lists(pack(lengths, 512, PackAlgorithm::kFirstFitShuffle, seed)); };
  EXPECT_EQ(bins(1), bins(1));
  EXPECT_NE(bins(1), bins(2));
  EXPECT_NE(bins(1), lists(pack(lengths, 512, PackAlgorithm::kFirstFit)));
}

TEST(Packing, OtherAlgorithmsAreNoWorseThanPlainFirstFit) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const auto lengths = drawn(20000, 4096, seed, true);
    const size_t plain = pack(lengths, 4096, PackAlgorithm::kFirstFit).count();
    EXPECT_LE(pack(lengths, 4096, PackAlgorithm::kFirstFitDecreasing).count(), plain);
    EXPECT_LE(pack(lengths, 4096, PackAlgorithm::kBestFit).count(), plain + plain / 100);
    const Bins best = pack(lengths, 4096, PackAlgorithm::kFirstFitDecreasing);
    EXPECT_GT(efficiency(lengths, best, 4096), 0.99);
  }
}

TEST(Packing, RowsThatFitNoBinAreNamed) {
  EXPECT_NE(
      data_test::error_of(ErrorKind::kInput, [] { pack(std::vector<int32_t>{3, 9, 2}, 8, PackAlgorithm::kFirstFit); })
          .find("row 1"),
      std::string::npos);
  data_test::error_of(ErrorKind::kInput, [] { pack(std::vector<int32_t>{-1}, 8, PackAlgorithm::kBestFit); });
  data_test::error_of(ErrorKind::kConfig, [] { pack(std::vector<int32_t>{0}, 0, PackAlgorithm::kBestFit); });
  EXPECT_EQ(pack({}, 8, PackAlgorithm::kFirstFit).count(), 0u);
  EXPECT_EQ(pack(std::vector<int32_t>{8, 0, 8, 0}, 8, PackAlgorithm::kFirstFit).count(), 2u);
}

}  // namespace
}  // namespace rialto::data
