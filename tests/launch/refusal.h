// SPDX-License-Identifier: Apache-2.0
// What a call says when it throws.
#ifndef SIGNCCL_TESTS_LAUNCH_REFUSAL_H_
#define SIGNCCL_TESTS_LAUNCH_REFUSAL_H_

#include <string>

#include "launch/error.h"

namespace signccl::launch {

/// The text of the LaunchError that `call` throws; empty if it throws none.
template <typename Call>
std::string refusalOf(const Call& call) {
  try {
    call();
  } catch (const LaunchError& error) {
    return error.what();
  }
  return {};
}

}  // namespace signccl::launch

#endif  // SIGNCCL_TESTS_LAUNCH_REFUSAL_H_
