// SPDX-License-Identifier: Apache-2.0
// What this folder throws; what() names the value and what was expected.
#ifndef SIGNCCL_LAUNCH_ERROR_H_
#define SIGNCCL_LAUNCH_ERROR_H_

#include <stdexcept>

namespace signccl::launch {

class LaunchError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace signccl::launch

#endif  // SIGNCCL_LAUNCH_ERROR_H_
