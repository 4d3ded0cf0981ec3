// SPDX-License-Identifier: Apache-2.0
// Checks what a user passes to the Lion functions and turns it into our types.
#ifndef SIGNCCL_API_LION_ARGUMENTS_H_
#define SIGNCCL_API_LION_ARGUMENTS_H_

#include <cstddef>
#include <vector>

#include "device/buffers.h"
#include "lion/lion_kernels.h"
#include "lion/tensors.h"
#include "signccl/lion.h"

namespace signccl {

/// What a Lion object is made of, and where that is.
struct CheckedLion {
  LionOptions options;
  int device = kHostBuffers;  ///< ordinal of the device in whose memory parameters and momenta are
};

/// Throws signcclInvalidArgument, with the value that is wrong and what was expected, and what deviceOfBuffers()
/// throws.
CheckedLion checkLionConfig(const signcclLionConfig_t* config);

/// A Lion object, for what is checked later.
struct LionPlace {
  const LionOptions& options;
  int device;
};

/// The hyperparameters of one step, and its switches.
struct CheckedLionStep {
  std::vector<LionGroup> groups;
  bool skips = false;
  bool in_background = false;
  CudaStream stream = nullptr;
  DeviceInputs inputs;  ///< null in host memory, as is the next one
  int* skipped_on_device = nullptr;
};

/// Writes to `checked`, whose memory is used again. Throws signcclInvalidArgument, with the value
/// that is wrong and what was expected, and what deviceOfBuffers() and checkStream() throw.
void checkLionStep(const signcclLionStepConfig_t* step, const LionPlace& place, CheckedLionStep& checked);

/// Throws signcclInvalidArgument unless gradients [ngradients] of tensors from `first` on, some of which may be null,
/// are in memory that the object can use.
void checkLionGradients(const void* const* gradients, std::size_t first, std::size_t ngradients,
                        const LionPlace& place);

}  // namespace signccl

#endif  // SIGNCCL_API_LION_ARGUMENTS_H_
