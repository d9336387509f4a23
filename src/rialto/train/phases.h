// Where an iteration's time goes: one clock per phase, which is a range of traces as well.
#pragma once

#include <ATen/record_function.h>
#include <c10/core/Device.h>

#include <array>
#include <chrono>
#include <map>
#include <string>
#include <string_view>

namespace rialto::train {

enum class Phase { kData, kForward, kBackward, kReduce, kOptimizer, kEvaluate, kSave };
inline constexpr size_t kNumPhases = 7;
/// "data", "forward", "backward", "reduce", "optimizer", "evaluate", "save"
std::string_view name_of(Phase phase);

class Phases {
 public:
  /// `exact`: waits for the device before and after a phase, as Megatron's timers do; else a GPU's phases are the time
  /// that it took to queue the work. `nvtx`: phases become NVTX ranges.
  explicit Phases(at::Device device = at::kCPU, bool exact = false, bool nvtx = false)
      : device_(device), exact_(exact && !device.is_cpu()), nvtx_(nvtx) {}

  /// From its making to its end, time belongs to `phase`. Without clocks (null) it does nothing.
  class Scope {
   public:
    Scope(Phases* phases, Phase phase);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Phases* phases_;
    Phase phase_;
    std::chrono::steady_clock::time_point start_;
    at::RecordFunction range_{at::RecordScope::USER_SCOPE};
  };

  /// Milliseconds of every phase that occurred since the last call, by name.
  std::map<std::string, double> take();

 private:
  void wait() const;

  at::Device device_;
  bool exact_, nvtx_;
  std::array<double, kNumPhases> ms_{};
};

}  // namespace rialto::train
