// Names and sizes of element types.
#include <gtest/gtest.h>

#include "rialto/base/dtype.h"

namespace rialto {
namespace {

TEST(DType, NamesReadBack) {
  for (int i = 0; i <= static_cast<int>(DType::kBool); ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(dtype_from_safetensors(safetensors_name(dtype)), dtype);
    EXPECT_EQ(dtype_from_torch(torch_name(dtype)), dtype);
    EXPECT_EQ(dtype_from_torch("torch." + std::string(torch_name(dtype))), dtype);
    EXPECT_GT(size_of(dtype), 0u);
  }
}

TEST(DType, ShortNames) {
  EXPECT_EQ(dtype_from_torch("bf16"), DType::kBF16);
  EXPECT_EQ(dtype_from_torch("fp16"), DType::kF16);
  EXPECT_EQ(dtype_from_torch("fp32"), DType::kF32);
  EXPECT_EQ(dtype_from_torch("fp31"), std::nullopt);
  EXPECT_EQ(dtype_from_safetensors("F31"), std::nullopt);
  EXPECT_EQ(dtype_from_safetensors("f32"), std::nullopt);
}

}  // namespace
}  // namespace rialto
