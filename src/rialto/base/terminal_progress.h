// Progress for people: a bar with rate and time left on a terminal, plain lines elsewhere, nothing before two seconds.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <string>

#include "rialto/base/progress.h"

namespace rialto {

class TerminalProgress final : public Progress {
 public:
  /// `stop`: what cancelled() reports, usually set by a signal handler. `out` is also where notices go.
  explicit TerminalProgress(const std::atomic<bool>* stop = nullptr, std::FILE* out = stderr);
  ~TerminalProgress() override;
  void begin(std::string_view phase, uint64_t total, std::string_view unit) override;
  void update(uint64_t done) override;
  void end() override;
  void notice(std::string_view line) override;
  /// Takes the bar away until the next update, so that something else can be printed.
  void hide();
  bool cancelled() const override { return stop_ && stop_->load(std::memory_order_relaxed); }

 private:
  using Clock = std::chrono::steady_clock;
  std::string text(double seconds) const;
  void draw(Clock::time_point now);
  void clear();

  const std::atomic<bool>* stop_;
  std::FILE* out_;
  const bool terminal_;
  std::mutex mutex_;
  std::string phase_, unit_;
  uint64_t total_ = 0, done_ = 0;
  bool active_ = false, drawn_ = false;
  Clock::time_point start_, next_;
};

/// "1.25 GiB", "310 MiB" for bytes; "1.2 M tokens" for other units.
std::string amount_text(double amount, std::string_view unit);
/// "0:42", "1:02:03".
std::string duration_text(double seconds);

}  // namespace rialto
