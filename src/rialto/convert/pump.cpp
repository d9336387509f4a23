// Overlapping reading and gathering with writing.
#include "rialto/convert/pump.h"

#include <cstring>

#include "rialto/base/error.h"

namespace rialto::convert {
namespace {

constexpr size_t kBlocks = 4;
constexpr size_t kBlockBytes = 1u << 20;

struct Stopped {};  ///< thrown inside the thread when nobody takes any more

}  // namespace

Pump::Pump(std::function<void(const ByteSink&)> make) : free_(kBlocks), full_(kBlocks) {
  for (size_t i = 0; i < kBlocks; ++i) free_.push(Block{});
  thread_ = std::thread([this, made = std::move(make)] { run(made); });
}

Pump::~Pump() {
  free_.abort();
  full_.abort();
  if (thread_.joinable()) thread_.join();
}

void Pump::finish() {
  const bool more = taken_ < current_.used || full_.pop().has_value();
  if (more) throw Error(ErrorKind::kInternal, "pump", "more bytes made than wanted");
  thread_.join();
  if (error_) std::rethrow_exception(error_);
}

void Pump::run(const std::function<void(const ByteSink&)>& make) {
  try {
    Block block;
    const auto flush = [&] {
      if (block.used > 0 && !full_.push(std::move(block))) throw Stopped();
      block = Block{};
    };
    make([&](std::span<const std::byte> bytes) {
      while (!bytes.empty()) {
        if (block.bytes.empty()) {
          std::optional<Block> next = free_.pop();
          if (!next) throw Stopped();
          block = std::move(*next);
          block.bytes.resize(kBlockBytes);
          block.used = 0;
        }
        const size_t count = std::min(bytes.size(), kBlockBytes - block.used);
        std::memcpy(block.bytes.data() + block.used, bytes.data(), count);
        block.used += count;
        bytes = bytes.subspan(count);
        if (block.used == kBlockBytes) flush();
      }
    });
    flush();
  } catch (const Stopped&) {
    return;
  } catch (...) {
    error_ = std::current_exception();
  }
  full_.close();
}

void Pump::take(uint64_t bytes, const ByteSink& sink) {
  while (bytes > 0) {
    if (taken_ == current_.used) {
      if (!current_.bytes.empty()) free_.push(std::move(current_));
      current_ = Block{};
      taken_ = 0;
      std::optional<Block> next = full_.pop();
      if (!next) {
        if (error_) std::rethrow_exception(error_);
        throw Error(ErrorKind::kInternal, "pump", "fewer bytes made than wanted");
      }
      current_ = std::move(*next);
    }
    const size_t count = static_cast<size_t>(std::min<uint64_t>(bytes, current_.used - taken_));
    sink(std::span(current_.bytes.data() + taken_, count));
    taken_ += count;
    bytes -= count;
  }
}

}  // namespace rialto::convert
