// SPDX-License-Identifier: Apache-2.0
// Are these signs? For the dry run, which looks at the values of this rank alone. A call that is taken needs no such
// look: the library finds out while it packs the signs.
#ifndef SIGNCCL_PLUGIN_RULES_VALUES_H_
#define SIGNCCL_PLUGIN_RULES_VALUES_H_

#include <cstddef>
#include <cstdint>

#include "rules/takeover.h"
#include "rules/types.h"

namespace signccl::rules {

struct LocalValues {
  Values values = Values::kSigns;
  std::int64_t first_index =
      -1;                  ///< of the first element that is neither -1 nor +1; for kOther, nor 0. -1: there is none
  double first_value = 0;  ///< its value
};

/// Looks at [count] elements of `type` in host memory, which need no alignment. -0 and NaN are kOther: the sum of -0 is
/// -0, which a sum of signs cannot be.
LocalValues checkValues(const void* elements, std::size_t count, ElementType type) noexcept;

}  // namespace signccl::rules

#endif  // SIGNCCL_PLUGIN_RULES_VALUES_H_
