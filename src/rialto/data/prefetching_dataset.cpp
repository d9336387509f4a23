// A queue of sample numbers, and the samples that threads have made of them.
#include "rialto/data/prefetching_dataset.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

namespace rialto::data {

struct PrefetchingDataset::Work {
  struct Slot {
    bool begun = false;
    std::optional<Sample> sample = {};
    std::exception_ptr failure = {};
    bool is_done() const { return sample || failure; }
  };
  mutable std::mutex mutex;
  std::condition_variable wanted, done;
  std::deque<int64_t> queue;
  std::map<int64_t, std::shared_ptr<Slot>> slots;
  int64_t prepared = 0;
  bool stops = false;
  std::vector<std::jthread> threads;

  /// Makes the next sample of the queue; false when the threads end.
  bool make_one(const Dataset& samples) {
    std::unique_lock lock(mutex);
    wanted.wait(lock, [&] { return stops || !queue.empty(); });
    if (stops) return false;
    const int64_t index = queue.front();
    queue.pop_front();
    const auto found = slots.find(index);
    if (found == slots.end() || found->second->begun) return true;  // somebody asked for it meanwhile
    const std::shared_ptr<Slot> slot = found->second;
    slot->begun = true;
    lock.unlock();
    std::optional<Sample> sample;
    std::exception_ptr failure;
    try {
      sample = samples.get(index);
    } catch (...) {
      failure = std::current_exception();  // told to who asks for the sample
    }
    lock.lock();
    slot->sample = std::move(sample);
    slot->failure = failure;
    done.notify_all();
    return true;
  }
};

PrefetchingDataset::PrefetchingDataset(std::unique_ptr<Dataset> samples, size_t threads)
    : samples_(std::move(samples)), work_(std::make_unique<Work>()) {
  for (size_t i = 0; i < threads; ++i)
    work_->threads.emplace_back([this] {
      while (work_->make_one(*samples_)) {
      }
    });
}

PrefetchingDataset::~PrefetchingDataset() {
  {
    const std::lock_guard lock(work_->mutex);
    work_->stops = true;
  }
  work_->wanted.notify_all();
}

int64_t PrefetchingDataset::size() const { return samples_->size(); }
SampleStart PrefetchingDataset::start(int64_t index) const { return samples_->start(index); }
std::vector<Consumed> PrefetchingDataset::consumed(int64_t count) const { return samples_->consumed(count); }

int64_t PrefetchingDataset::num_prepared() const {
  const std::lock_guard lock(work_->mutex);
  return work_->prepared;
}

void PrefetchingDataset::announce(std::span<const int64_t> indices) const {
  {
    const std::lock_guard lock(work_->mutex);
    std::map<int64_t, std::shared_ptr<Work::Slot>> slots;
    work_->queue.clear();
    for (const int64_t index : indices) {
      if (index < 0 || index >= samples_->size()) continue;
      const auto old = work_->slots.find(index);
      auto slot = old != work_->slots.end() ? old->second : std::make_shared<Work::Slot>();
      if (!slot->begun) work_->queue.push_back(index);
      slots.emplace(index, std::move(slot));
    }
    work_->slots = std::move(slots);
  }
  work_->wanted.notify_all();
}

Sample PrefetchingDataset::get(int64_t index) const {
  std::unique_lock lock(work_->mutex);
  const auto found = work_->slots.find(index);
  if (found == work_->slots.end()) {
    lock.unlock();
    return samples_->get(index);
  }
  const std::shared_ptr<Work::Slot> slot = found->second;
  if (!slot->begun) {  // no thread has come to it: the caller is as good as one
    work_->slots.erase(found);
    lock.unlock();
    return samples_->get(index);
  }
  work_->done.wait(lock, [&] { return slot->is_done(); });
  work_->slots.erase(index);
  ++work_->prepared;
  if (slot->failure) std::rethrow_exception(slot->failure);
  return std::move(*slot->sample);
}

}  // namespace rialto::data
