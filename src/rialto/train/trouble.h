// What can go wrong in an iteration, and what the configuration wants done about it. A pure function of the losses so
// far, so a resumed run decides as one that was never interrupted.
#pragma once

#include <string>
#include <vector>

#include "rialto/config/run_config.h"

namespace rialto::train {

enum class Trouble { kNonfiniteLoss, kNonfiniteNorm, kLargeNorm, kSpike };
enum class Remedy { kStop, kSkip, kRewind };

Remedy remedy(const config::ResilienceSection& section, Trouble trouble);

/// True when the section watches for spikes, `recent` is a whole window, and `loss` exceeds its median too often.
bool is_spike(const config::ResilienceSection& section, const std::vector<double>& recent, double loss);
/// Adds the loss of a trained iteration; the window keeps the last ones. Nothing when no one watches.
void remember_loss(const config::ResilienceSection& section, std::vector<double>& recent, double loss);

/// "the loss is not finite".
std::string describe(Trouble trouble, const config::ResilienceSection& section, const std::vector<double>& recent);

}  // namespace rialto::train
