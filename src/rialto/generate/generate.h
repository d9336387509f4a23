// Text from a model: KV cache, greedy and sampled decoding.
#pragma once

#include <functional>
#include <vector>

#include "rialto/base/progress.h"
#include "rialto/hub/hf_directory.h"
#include "rialto/model/model.h"

namespace rialto::generate {

struct Sampling {
  int64_t max_new_tokens = 128;
  bool greedy = true;
  double temperature = 1.0, top_p = 1.0;
  int64_t top_k = 0;  ///< 0: all
  double repetition_penalty = 1.0;
  uint64_t seed = 1234;
  std::vector<int64_t> stop_ids;  ///< end-of-text; the stop token is returned as the last
};

/// Next tokens after `prompt`, one by one through `on_token` (return false to stop). Deterministic for a seed.
/// `device` is where the model's weights are. Throws kUsage for an empty prompt.
std::vector<int64_t> generate(const model::Model& model, std::vector<int64_t> prompt, const Sampling& sampling,
                              const std::function<bool(int64_t)>& on_token, at::Device device = at::kCPU);

}  // namespace rialto::generate
