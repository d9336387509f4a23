// The Functions of latent attention: taking the down projection apart, and putting keys together for all heads.
#include <ATen/Functions.h>

#include "rialto/model/attention/functions.h"

namespace rialto::model {
namespace {

at::Tensor or_zeros(const at::Tensor& gradient, const std::vector<int64_t>& shape, const at::TensorOptions& options) {
  return gradient.defined() ? gradient : at::zeros(shape, options);
}

}  // namespace

LatentParts split_latent(const Recorder& recorder, const at::Tensor& x, int64_t latent_dim) {
  Tape tape(recorder, {x});
  const int64_t tokens = x.size(0), key_dim = x.size(1) - latent_dim;
  LatentParts parts{x.narrow(1, 0, latent_dim).contiguous(),
                    x.narrow(1, latent_dim, key_dim).contiguous().view({tokens, 1, key_dim})};
  tape.record(
      {parts.latent_TC, parts.key_T1R},
      [tokens, latent_dim, key_dim, options = x.options()](const Grads& douts,
                                                           const std::vector<at::Tensor>&) -> Grads {
        return {at::cat({or_zeros(douts[0], {tokens, latent_dim}, options),
                         or_zeros(douts[1], {tokens, 1, key_dim}, options).view({tokens, key_dim})},
                        1)};
      },
      "split_latent");
  return parts;
}

ExpandedKeys expand_keys(const Recorder& recorder, const at::Tensor& up_TNE, const at::Tensor& key_T1R,
                         int64_t plain_dim) {
  Tape tape(recorder, {up_TNE, key_T1R});
  const int64_t tokens = up_TNE.size(0), heads = up_TNE.size(1), key_dim = key_T1R.size(2);
  const int64_t value_dim = up_TNE.size(2) - plain_dim;
  // Values get memory of their own, so that the projection need not live on for half of itself.
  ExpandedKeys keys{at::cat({up_TNE.narrow(2, 0, plain_dim), key_T1R.expand({tokens, heads, key_dim})}, 2),
                    up_TNE.narrow(2, plain_dim, value_dim).contiguous()};
  tape.record(
      {keys.k_TND, keys.v_TNV},
      [=, options = up_TNE.options()](const Grads& douts, const std::vector<at::Tensor>&) -> Grads {
        const at::Tensor dk = or_zeros(douts[0], {tokens, heads, plain_dim + key_dim}, options);
        const at::Tensor dv = or_zeros(douts[1], {tokens, heads, value_dim}, options);
        return {at::cat({dk.narrow(2, 0, plain_dim), dv}, 2), dk.narrow(2, plain_dim, key_dim).sum(1, true)};
      },
      "expand_keys");
  return keys;
}

}  // namespace rialto::model
