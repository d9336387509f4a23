// Samples made ahead by threads are the samples.
#include "rialto/data/prefetching_dataset.h"

#include <atomic>
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "rialto/base/error.h"

namespace rialto::data {
namespace {

/// Sample n is n; some take longer, one cannot be made.
class Numbers : public Dataset {
 public:
  explicit Numbers(std::atomic<int>& made) : made_(made) {}
  int64_t size() const override { return 100; }
  Sample get(int64_t index) const override {
    if (index == 66) throw Error(ErrorKind::kInput, "numbers", "sample 66 is damaged");
    if (index % 3 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ++made_;
    return {
        .tokens = {static_cast<int32_t>(index)}, .labels = {}, .loss_weights = {}, .positions = {}, .documents = {}};
  }
  SampleStart start(int64_t index) const override { return {.document = index}; }
  std::vector<Consumed> consumed(int64_t count) const override { return {{"numbers", count, count, 0}}; }

 private:
  std::atomic<int>& made_;
};

TEST(PrefetchingDataset, SamplesAreThoseOfTheDataSetInAnyOrder) {
  std::atomic<int> made = 0;
  const PrefetchingDataset samples(std::make_unique<Numbers>(made), 3);
  std::vector<int64_t> next;
  for (int64_t first = 0; first < 60; first += 10) {
    next.clear();
    for (int64_t i = first; i < first + 10; ++i) next.push_back((i * 7) % 60);
    samples.announce(next);
    for (const int64_t i : next) ASSERT_EQ(samples.get(i).tokens, std::vector<int32_t>{static_cast<int32_t>(i)});
  }
  EXPECT_EQ(made, 60);                       // none was made twice
  EXPECT_EQ(samples.get(99).tokens[0], 99);  // not announced
  EXPECT_EQ(samples.start(5).document, 5);
  EXPECT_EQ(samples.consumed(4)[0].samples, 4);
  EXPECT_EQ(samples.size(), 100);
}

TEST(PrefetchingDataset, ThreadsMakeWhatIsAnnounced) {
  std::atomic<int> made = 0;
  const PrefetchingDataset samples(std::make_unique<Numbers>(made), 2);
  samples.announce(std::vector<int64_t>{1, 2, 4});
  for (int i = 0; i < 5000 && made < 3; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_EQ(made, 3);
  for (const int64_t i : {4, 1, 2}) EXPECT_EQ(samples.get(i).tokens[0], i);
  EXPECT_EQ(made, 3);
  EXPECT_EQ(samples.num_prepared(), 3);
  // asked for again (a run that went back): made anew
  EXPECT_EQ(samples.get(2).tokens[0], 2);
  EXPECT_EQ(made, 4);
  // what is announced and never asked for, or is no sample, does no harm
  samples.announce(std::vector<int64_t>{7, 8, 1000, -1});
  samples.announce(std::vector<int64_t>{8, 9});
  EXPECT_EQ(samples.get(9).tokens[0], 9);
  EXPECT_EQ(samples.get(7).tokens[0], 7);
}

TEST(PrefetchingDataset, AnErrorIsToldToWhoAsksForTheSample) {
  std::atomic<int> made = 0;
  const PrefetchingDataset samples(std::make_unique<Numbers>(made), 1);
  samples.announce(std::vector<int64_t>{65, 66, 67});
  EXPECT_EQ(samples.get(65).tokens[0], 65);
  EXPECT_THROW(samples.get(66), Error);
  EXPECT_EQ(samples.get(67).tokens[0], 67);
}

}  // namespace
}  // namespace rialto::data
