// SPDX-License-Identifier: Apache-2.0
#include "kernels/names.h"

namespace signccl {

const char* elementTypeName(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return "float32";
    case ElementType::kFloat16:
      return "float16";
    case ElementType::kBFloat16:
      return "bfloat16";
    case ElementType::kFloat64:
      return "float64";
    case ElementType::kInt8:
      return "int8";
    case ElementType::kInt16:
      return "int16";
    case ElementType::kInt32:
      return "int32";
    case ElementType::kBits:
      return "bits";
  }
  return "unknown";
}

const char* floatTypeName(FloatType type) {
  switch (type) {
    case FloatType::kFloat32:
      return elementTypeName(ElementType::kFloat32);
    case FloatType::kFloat16:
      return elementTypeName(ElementType::kFloat16);
    case FloatType::kBFloat16:
      return elementTypeName(ElementType::kBFloat16);
  }
  return "unknown";
}

}  // namespace signccl
