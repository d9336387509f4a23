// What an optimizer is told: once (Options) and at every step (Rates).
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>

namespace rialto::optim {

enum class Kind { kAdam, kSgd, kLion, kMuon };
/// Megatron's name: "adam", "sgd", "lion", "muon".
const char* name_of(Kind kind);

/// sqrt of: max(1, rows / columns); max(rows, columns); rows / columns.
enum class MuonScale { kShapeScaling, kSpectral, kUnitRmsNorm };

struct MuonOptions {
  double momentum = 0.95, extra_scale_factor = 1;
  bool nesterov = false, split_qkv = true;
  MuonScale scale = MuonScale::kSpectral;
  int64_t num_ns_steps = 5;   ///< a multiple of 5, the length of the coefficients' cycle
  bool bf16_products = true;  ///< of the Newton-Schulz steps; false: fp32
};

struct Options {
  Kind kind = Kind::kAdam;
  double adam_beta1 = 0.9, adam_beta2 = 0.95, adam_eps = 1e-8;
  bool decoupled_weight_decay = true;  ///< of Adam: AdamW; SGD's is never, Lion's and Muon's always decoupled
  double sgd_momentum = 0.9, lion_beta1 = 0.95, lion_beta2 = 0.98;
  MuonOptions muon = {};
  bool decay_qk_norms = false;  ///< norms of queries and keys decay like matrices
  at::ScalarType exp_avg_dtype = at::kFloat, exp_avg_sq_dtype = at::kFloat;  ///< of Adam's moments: fp32 or bf16
  bool param_remainders = false;  ///< bf16 weights and 16 bits more are the main parameters; Adam alone
  double offload_fraction = 0;    ///< of the elements, whose state (and update) is the CPU's; not Muon's
};

/// A learning rate's highest and lowest value.
struct Bounds {
  double max = 0, min = 0;
};

/// What a schedule says for one step.
struct Rates {
  double lr = 0, decoupled_lr = 0, weight_decay = 0;
};

/// Elements [begin, end) of the flat buffers.
struct Range {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
  /// What lies in both; its size is 0 when nothing does.
  Range shared_with(const Range& other) const {
    const Range both{std::max(begin, other.begin), std::min(end, other.end)};
    return both.size() > 0 ? both : Range{both.begin, both.begin};
  }
  bool operator==(const Range&) const = default;
};

}  // namespace rialto::optim
