// SPDX-License-Identifier: Apache-2.0
// Where C++ ends and XLA begins: exceptions become errors of XLA.
#ifndef SIGNCCL_JAX_GUARDED_H_
#define SIGNCCL_JAX_GUARDED_H_

#include <exception>
#include <stdexcept>

#include "xla/ffi/api/ffi.h"

namespace signccl::jax {

/// Runs the body of a handler. std::invalid_argument is INVALID_ARGUMENT, and all others are INTERNAL.
template <typename Body>
xla::ffi::Error guarded(const Body& body) noexcept {
  try {
    return body();
  } catch (const std::invalid_argument& error) {
    return xla::ffi::Error::InvalidArgument(error.what());
  } catch (const std::exception& error) {
    return xla::ffi::Error::Internal(error.what());
  }
}

}  // namespace signccl::jax

#endif  // SIGNCCL_JAX_GUARDED_H_
