// Names of activation functions.
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

/// The last part of Megatron's name for it.
inline std::string_view megatron_name(spec::Activation activation) {
  switch (activation) {
    case spec::Activation::kSilu:
      return "silu";
    case spec::Activation::kGeluTanh:
      return "fast_gelu";
    case spec::Activation::kRelu2:
      return "squared_relu";
    case spec::Activation::kGptOss:
      return "quick_gelu";
  }
  return "";
}

}  // namespace rialto::resolve
