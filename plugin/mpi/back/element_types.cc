// SPDX-License-Identifier: Apache-2.0
#include "mpi/back/element_types.h"

#include <algorithm>
#include <cstddef>

namespace signccl::mpi {

using rules::ElementType;

ElementTypes::ElementTypes() {
  add(MPI_FLOAT, ElementType::kFloat32);
  add(MPI_DOUBLE, ElementType::kFloat64);
  add(MPI_INT8_T, ElementType::kInt8);
  add(MPI_SIGNED_CHAR, ElementType::kInt8);
  // Fortran's. The compiler says how wide those without a number are.
  add(MPI_REAL, ElementType::kFloat32);
  add(MPI_REAL, ElementType::kFloat64);
  add(MPI_REAL4, ElementType::kFloat32);
  add(MPI_REAL8, ElementType::kFloat64);
  add(MPI_DOUBLE_PRECISION, ElementType::kFloat64);
  add(MPI_INTEGER1, ElementType::kInt8);
#ifdef MPIX_C_FLOAT16
  add(MPIX_C_FLOAT16, ElementType::kFloat16);
#endif
}

void ElementTypes::add(MPI_Datatype type, ElementType element) {
  if (type == MPI_DATATYPE_NULL) return;  // the MPI was built without Fortran, or for a compiler without this type
  int bytes = 0;
  PMPI_Type_size(type, &bytes);
  if (static_cast<std::size_t>(bytes) == rules::sizeOf(element)) types_.emplace_back(type, element);
}

std::optional<ElementType> ElementTypes::find(MPI_Datatype type) const {
  const auto found = std::ranges::find(types_, type, &std::pair<MPI_Datatype, ElementType>::first);
  if (found == types_.end()) return std::nullopt;
  return found->second;
}

signcclDataType_t dataTypeOf(ElementType type) {
  switch (type) {
    case ElementType::kInt8:
      return signcclInt8;
    case ElementType::kFloat16:
      return signcclFloat16;
    case ElementType::kBfloat16:
      return signcclBfloat16;
    case ElementType::kFloat32:
      return signcclFloat32;
    case ElementType::kFloat64:
      return signcclFloat64;
  }
  return signcclFloat64;
}

}  // namespace signccl::mpi
