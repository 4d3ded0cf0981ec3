// SPDX-License-Identifier: Apache-2.0
// MPI's named datatypes as the element types of rules.
#ifndef SIGNCCL_PLUGIN_MPI_BACK_ELEMENT_TYPES_H_
#define SIGNCCL_PLUGIN_MPI_BACK_ELEMENT_TYPES_H_

#include <mpi.h>
#include <optional>
#include <utility>
#include <vector>

#include "rules/types.h"
#include "signccl/types.h"

namespace signccl::mpi {

/// The datatypes of this MPI that rules can name, of C and of Fortran, which may be other handles. Derived types are
/// none of them, also if they look alike.
class ElementTypes {
 public:
  /// To be made after MPI_Init().
  ElementTypes();

  /// Nothing: a type that rules cannot name. Any thread.
  [[nodiscard]] std::optional<rules::ElementType> find(MPI_Datatype type) const;

 private:
  void add(MPI_Datatype type, rules::ElementType element);

  std::vector<std::pair<MPI_Datatype, rules::ElementType>> types_;
};

signcclDataType_t dataTypeOf(rules::ElementType type);

}  // namespace signccl::mpi

#endif  // SIGNCCL_PLUGIN_MPI_BACK_ELEMENT_TYPES_H_
