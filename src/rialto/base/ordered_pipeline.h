// Work on a stream of items by several threads, with the results in the items' order.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace rialto {

/// `produce` fills the next item (false: there are no more; one caller at a time), `work` runs on `threads` threads,
/// `consume` gets the results in the order of their items, on the calling thread. At most 2 * threads + 2 items are on
/// their way at once, which bounds memory. What any of the three throws ends all and comes out of here; of several
/// failures the one of the earliest item, so that it does not depend on the threads.
template <class Item, class Result>
class OrderedPipeline {
 public:
  using Produce = std::function<bool(Item&)>;
  using Work = std::function<Result(Item&)>;
  using Consume = std::function<void(Result&)>;

  static void run(size_t threads, const Produce& produce, const Work& work, const Consume& consume) {
    OrderedPipeline pipeline(threads, produce, work);
    pipeline.consume_all(consume);
  }

 private:
  struct Slot {
    Result result{};
    std::exception_ptr failure;
  };

  OrderedPipeline(size_t threads, const Produce& produce, const Work& work)
      : limit_(2 * threads + 2), produce_(produce), work_(work) {
    for (size_t i = 0; i < threads; ++i) {
      try {
        pool_.emplace_back([this] { serve(); });
      } catch (const std::system_error&) {
        if (pool_.empty()) throw;  // else: fewer threads than asked for
        break;
      }
    }
  }

  ~OrderedPipeline() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : pool_) thread.join();
  }

  void serve() {
    Item item;
    uint64_t number = 0;
    while (take(item, number)) {
      Slot slot;
      try {
        slot.result = work_(item);
      } catch (...) {
        slot.failure = std::current_exception();
      }
      put(number, std::move(slot));
    }
  }

  bool take(Item& item, uint64_t& number) {
    const std::lock_guard reading(reading_);
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stop_ || ended_ || taken_ - consumed_ < limit_; });
      if (stop_ || ended_) return false;
      number = taken_;
    }
    bool more = false;
    std::exception_ptr failure;
    try {
      more = produce_(item);
    } catch (...) {
      failure = std::current_exception();
    }
    {
      const std::lock_guard lock(mutex_);
      ended_ = !more;
      if (more || failure) ++taken_;
    }
    changed_.notify_all();
    if (failure) put(number, {{}, failure});
    return more;
  }

  void put(uint64_t number, Slot slot) {
    {
      const std::lock_guard lock(mutex_);
      slots_.emplace(number, std::move(slot));
    }
    changed_.notify_all();
  }

  void consume_all(const Consume& consume) {
    for (uint64_t number = 0;; ++number) {
      Slot slot;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return slots_.contains(number) || (ended_ && number == taken_); });
        if (!slots_.contains(number)) return;
        slot = std::move(slots_.extract(number).mapped());
      }
      if (slot.failure) std::rethrow_exception(slot.failure);
      consume(slot.result);
      {
        const std::lock_guard lock(mutex_);
        ++consumed_;
      }
      changed_.notify_all();
    }
  }

  const uint64_t limit_;
  const Produce& produce_;
  const Work& work_;
  std::mutex reading_, mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, Slot> slots_;
  uint64_t taken_ = 0, consumed_ = 0;
  bool ended_ = false, stop_ = false;
  std::vector<std::thread> pool_;
};

}  // namespace rialto
