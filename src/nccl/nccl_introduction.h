// SPDX-License-Identifier: Apache-2.0
// What ranks tell each other before they make a communicator of NCCL: whether they can, and its unique id.
#ifndef SIGNCCL_NCCL_NCCL_INTRODUCTION_H_
#define SIGNCCL_NCCL_NCCL_INTRODUCTION_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/failure.h"
#include "nccl/nccl_types.h"

namespace signccl {

struct NcclIntroduction {
  signcclResult_t code = signcclSuccess;  ///< why the rank cannot take part, if it cannot
  std::string error;
  int version = 0;                     ///< of NCCL
  std::string device;                  ///< its UUID
  bool allows_shared_devices = false;  ///< NCCL_MULTI_RANK_GPU_ENABLE=1
  NcclUniqueId id{};                   ///< of rank 0
};

std::string encode(const NcclIntroduction& introduction);

/// Takes any bytes and throws Error with signcclRemoteError for those that encode() does not make.
NcclIntroduction decodeNcclIntroduction(std::string_view bytes);

/// The unique id, if the ranks, [rank], can make a communicator together. Throws FailureError, the same on every rank.
NcclUniqueId agreedId(const std::vector<NcclIntroduction>& ranks);

}  // namespace signccl

#endif  // SIGNCCL_NCCL_NCCL_INTRODUCTION_H_
