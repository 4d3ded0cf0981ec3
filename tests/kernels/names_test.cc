// SPDX-License-Identifier: Apache-2.0
#include "kernels/names.h"

#include <utility>

#include <gtest/gtest.h>

namespace signccl {
namespace {

TEST(NamesTest, NamesAreThoseOfThePublicHeader) {
  const std::pair<ElementType, const char*> types[] = {
      {ElementType::kFloat32, "float32"}, {ElementType::kFloat16, "float16"}, {ElementType::kBFloat16, "bfloat16"},
      {ElementType::kFloat64, "float64"}, {ElementType::kInt8, "int8"},       {ElementType::kInt16, "int16"},
      {ElementType::kInt32, "int32"},     {ElementType::kBits, "bits"}};
  for (const auto& [type, name] : types) EXPECT_STREQ(elementTypeName(type), name);
  EXPECT_STREQ(floatTypeName(FloatType::kFloat32), "float32");
  EXPECT_STREQ(floatTypeName(FloatType::kFloat16), "float16");
  EXPECT_STREQ(floatTypeName(FloatType::kBFloat16), "bfloat16");
}

}  // namespace
}  // namespace signccl
