// Progress on standard error.
#include <chrono>
#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

#include "rialto/cli_train/command.h"

namespace rialto::cli_train {
namespace {

using Clock = std::chrono::steady_clock;

class TerminalProgress final : public Progress {
 public:
  void begin(std::string_view phase, uint64_t total, std::string_view unit) override {
    phase_ = phase;
    unit_ = unit;
    total_ = total;
    start_ = drawn_ = Clock::now();
    visible_ = false;
  }
  void update(uint64_t done) override {
    if (!terminal_) return;
    const auto now = Clock::now();
    if (now - start_ < std::chrono::seconds(2) || now - drawn_ < std::chrono::milliseconds(200)) return;
    drawn_ = now;
    visible_ = true;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double rate = static_cast<double>(done) / seconds;
    std::string line = fmt::format("\r\033[K{}: {}", phase_, done);
    if (total_ > 0 && done > 0) {
      const double left = static_cast<double>(total_ - std::min(done, total_)) / rate;
      line += fmt::format("/{} {}  {:.0f}%  {:.1f}/s  {:.0f} s left", total_, unit_,
                          100.0 * static_cast<double>(done) / static_cast<double>(total_), rate, left);
    } else {
      line += fmt::format(" {}  {:.1f}/s", unit_, rate);
    }
    std::fputs(line.c_str(), stderr);
    std::fflush(stderr);
  }
  void end() override { clear(); }
  void notice(std::string_view line) override {
    clear();
    std::fputs(fmt::format("{}\n", line).c_str(), stderr);
  }
  bool cancelled() const override { return stop_requested(); }

 private:
  void clear() {
    if (visible_) std::fputs("\r\033[K", stderr);
    visible_ = false;
  }

  bool terminal_ = isatty(STDERR_FILENO) != 0;
  bool visible_ = false;
  std::string phase_, unit_;
  uint64_t total_ = 0;
  Clock::time_point start_, drawn_;
};

}  // namespace

std::unique_ptr<Progress> terminal_progress() { return std::make_unique<TerminalProgress>(); }

}  // namespace rialto::cli_train
