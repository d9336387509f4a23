// Drawing progress.
#include "rialto/base/terminal_progress.h"

#include <fmt/format.h>
#include <unistd.h>

namespace rialto {
namespace {

constexpr std::chrono::seconds kSilent{2};         ///< shorter work shows nothing
constexpr std::chrono::milliseconds kRedraw{100};  ///< on a terminal
constexpr std::chrono::seconds kLine{10};          ///< between plain lines
constexpr int kBarWidth = 24;

}  // namespace

std::string amount_text(double amount, std::string_view unit) {
  if (unit == "bytes") {
    for (const char* name : {"B", "KiB", "MiB", "GiB"}) {
      if (amount < 1024) return fmt::format("{:.{}f} {}", amount, amount < 10 && *name != 'B' ? 1 : 0, name);
      amount /= 1024;
    }
    return fmt::format("{:.2f} TiB", amount);
  }
  for (const char* suffix : {"", " k", " M"}) {
    if (amount < 10'000) return fmt::format("{:.0f}{} {}", amount, suffix, unit);
    amount /= 1000;
  }
  return fmt::format("{:.1f} G {}", amount, unit);
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

TerminalProgress::TerminalProgress(const std::atomic<bool>* stop, std::FILE* out)
    : stop_(stop), out_(out), terminal_(::isatty(::fileno(out)) == 1) {}

TerminalProgress::~TerminalProgress() { clear(); }

void TerminalProgress::begin(std::string_view phase, uint64_t total, std::string_view unit) {
  const std::lock_guard lock(mutex_);
  clear();
  phase_ = phase;
  unit_ = unit;
  total_ = total;
  done_ = 0;
  active_ = true;
  start_ = Clock::now();
  next_ = start_ + kSilent;
}

void TerminalProgress::update(uint64_t done) {
  const std::lock_guard lock(mutex_);
  done_ = done;
  if (!active_) return;
  const Clock::time_point now = Clock::now();
  if (now >= next_) draw(now);
}

void TerminalProgress::end() {
  const std::lock_guard lock(mutex_);
  clear();
  active_ = false;
}

void TerminalProgress::hide() {
  const std::lock_guard lock(mutex_);
  clear();
}

void TerminalProgress::notice(std::string_view line) {
  const std::lock_guard lock(mutex_);
  clear();
  fmt::print(out_, "note: {}\n", line);
  std::fflush(out_);
}

std::string TerminalProgress::text(double seconds) const {
  const double rate = static_cast<double>(done_) / seconds;
  std::string text = total_ > 0 ? fmt::format("{} of {}", amount_text(static_cast<double>(done_), unit_),
                                              amount_text(static_cast<double>(total_), unit_))
                                : amount_text(static_cast<double>(done_), unit_);
  text += fmt::format(", {}/s", amount_text(rate, unit_));
  if (total_ > done_ && done_ > 0)
    text += fmt::format(", {} left", duration_text(static_cast<double>(total_ - done_) / rate));
  return text;
}

void TerminalProgress::draw(Clock::time_point now) {
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double part = total_ > 0 ? static_cast<double>(done_) / static_cast<double>(total_) : 0;
  if (terminal_) {
    const int filled = static_cast<int>(part * kBarWidth);
    const std::string bar =
        total_ > 0
            ? fmt::format("[{:<{}}] {:3.0f} %  ", std::string(static_cast<size_t>(filled), '#'), kBarWidth, 100 * part)
            : "";
    fmt::print(out_, "\r\033[K{} {}{}", phase_, bar, text(seconds));
    drawn_ = true;
    next_ = now + kRedraw;
  } else {
    fmt::print(out_, "{}: {}{}\n", phase_, total_ > 0 ? fmt::format("{:.0f} %, ", 100 * part) : "", text(seconds));
    next_ = now + kLine;
  }
  std::fflush(out_);
}

void TerminalProgress::clear() {
  if (!drawn_) return;
  fmt::print(out_, "\r\033[K");
  std::fflush(out_);
  drawn_ = false;
}

}  // namespace rialto
