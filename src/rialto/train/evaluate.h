// Evaluation on held-out data: the same samples every time, so two evaluations differ by the weights alone.
#pragma once

#include "rialto/train/records.h"
#include "rialto/train/setup.h"

namespace rialto::train {

/// Mean loss over the first samples of the validation or test data, as many as config::evaluation_samples says (0:
/// all), of which each data-parallel rank computes its share. Calls the start and step events; the caller reports the
/// record.
EvalRecord evaluate(Setup& setup, const Hooks& hooks, EvalPart part);

}  // namespace rialto::train
