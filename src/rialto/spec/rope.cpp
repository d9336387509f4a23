// Numbers that a rotary scaling implies. Source: transformers modeling_rope_utils.py, _compute_yarn_parameters.
#include <cmath>

#include "rialto/spec/model_spec.h"

namespace rialto::spec {

double yarn_mscale(double factor, double mscale) { return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1; }

double attention_factor(const YarnScaling& scaling) {
  if (scaling.attention_factor) return *scaling.attention_factor;
  if (scaling.mscale.value_or(0) != 0 && scaling.mscale_all_dim.value_or(0) != 0)
    return yarn_mscale(scaling.factor, *scaling.mscale) / yarn_mscale(scaling.factor, *scaling.mscale_all_dim);
  return yarn_mscale(scaling.factor, 1);
}

}  // namespace rialto::spec
