// Clocks and ranges of phases.
#include "rialto/train/phases.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/profiler/stubs/base.h>

namespace rialto::train {

std::string_view name_of(Phase phase) {
  constexpr std::array<std::string_view, kNumPhases> kNames = {"data",      "forward",  "backward", "reduce",
                                                               "optimizer", "evaluate", "save"};
  return kNames[static_cast<size_t>(phase)];
}

void Phases::wait() const {
  if (exact_) c10::impl::VirtualGuardImpl(device_.type()).synchronizeDevice(device_.index());
}

Phases::Scope::Scope(Phases* phases, Phase phase) : phases_(phases), phase_(phase) {
  if (!phases_) return;
  if (range_.isActive()) range_.before(std::string(name_of(phase)));
  if (phases_->nvtx_) torch::profiler::impl::cudaStubs()->rangePush(name_of(phase).data());
  phases_->wait();
  start_ = std::chrono::steady_clock::now();
}

Phases::Scope::~Scope() {
  if (!phases_) return;
  phases_->wait();
  const auto passed = std::chrono::steady_clock::now() - start_;
  phases_->ms_[static_cast<size_t>(phase_)] += std::chrono::duration<double, std::milli>(passed).count();
  if (phases_->nvtx_) torch::profiler::impl::cudaStubs()->rangePop();
}

std::map<std::string, double> Phases::take() {
  std::map<std::string, double> taken;
  for (size_t i = 0; i < kNumPhases; ++i)
    if (ms_[i] > 0) taken[std::string(name_of(static_cast<Phase>(i)))] = ms_[i];
  ms_.fill(0);
  return taken;
}

}  // namespace rialto::train
