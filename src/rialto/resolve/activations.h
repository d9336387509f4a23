// Names of activation functions in config.json files.
#pragma once

#include <string_view>

#include "rialto/base/error.h"
#include "rialto/spec/model_spec.h"

namespace rialto::resolve {

/// The function of a name in a family's activation row.
inline spec::Activation activation_named(std::string_view name) {
  if (name == "silu") return spec::Activation::kSilu;
  if (name == "gelu_pytorch_tanh") return spec::Activation::kGeluTanh;
  if (name == "relu2") return spec::Activation::kRelu2;
  throw Error(ErrorKind::kInternal, "families", "a row names an activation that is not known", {std::string(name)});
}

}  // namespace rialto::resolve
