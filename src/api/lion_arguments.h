// Checks what a user passes to the Lion functions and turns it into our types.
#ifndef SIGNCCL_API_LION_ARGUMENTS_H_
#define SIGNCCL_API_LION_ARGUMENTS_H_

#include <cstddef>
#include <vector>

#include "lion/tensors.h"
#include "signccl/lion.h"

namespace signccl {

/// Throws signcclInvalidArgument, with the value that is wrong and what was expected.
LionOptions checkLionConfig(const signcclLionConfig_t* config);

/// The hyperparameters of one step, and its switches.
struct LionStepArguments {
  std::vector<LionGroup> groups;
  bool skips = false;
  bool in_background = false;
};

/// Writes to `checked`, whose memory is used again. Throws signcclInvalidArgument, with the value that is wrong and
/// what was expected.
void checkLionStep(const signcclLionStepConfig_t* step, std::size_t ngroups, LionStepArguments& checked);

}  // namespace signccl

#endif  // SIGNCCL_API_LION_ARGUMENTS_H_
