// How long calls report progress and are asked to stop. Functions of the library take a Progress*; nullptr means
// silent.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rialto {

class Progress {
 public:
  virtual ~Progress() = default;
  /// A phase of `total` units ("bytes", "tensors", "tokens", "steps") begins; total 0 means unknown.
  virtual void begin(std::string_view phase, uint64_t total, std::string_view unit) = 0;
  /// `done` units of the phase are finished. Called often; must be cheap.
  virtual void update(uint64_t done) = 0;
  virtual void end() = 0;
  /// A line worth telling the user (a fall back, a lossy step). Not for debugging.
  virtual void notice(std::string_view line) = 0;
  /// True when the caller wants the work to stop; long calls then throw Error{kStopped}.
  virtual bool cancelled() const { return false; }
};

/// A Progress that says nothing, for `progress ? *progress : silent()`. Stateless.
Progress& silent();

/// Throws Error{kStopped} when `progress` is cancelled.
void check_cancelled(const Progress& progress, std::string_view where);

}  // namespace rialto
