// SPDX-License-Identifier: Apache-2.0
// From XLA's arrays and errors to those of the C API.
#ifndef SIGNCCL_JAX_ARRAYS_H_
#define SIGNCCL_JAX_ARRAYS_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "signccl/signccl.h"
#include "xla/ffi/api/ffi.h"

namespace signccl::jax {

/// An array in host memory, or in that of a device, where the handler cannot touch its elements.
struct Array {
  void* data;
  std::size_t count;  ///< elements
  std::size_t bytes;
  signcclDataType_t type;
};

/// Throws std::invalid_argument for a type that the C API does not have.
Array argument(const xla::ffi::RemainingArgs& arguments, std::size_t index);
Array result(const xla::ffi::RemainingRets& results, std::size_t index);

/// The first argument of every handler. One on a CUDA device cannot read it.
struct Place {
  std::int32_t rank;  ///< -1: the only one of this process
  std::int32_t step;  ///< -1: the running number of the communicator holds

  /// The call number of the step whose numbers begin `width` apart.
  [[nodiscard]] std::optional<std::uint64_t> callNumber(std::int64_t seed, std::size_t width) const;
};

/// Throws std::invalid_argument if the first argument is no int32[2].
Place placeOf(const xla::ffi::RemainingArgs& arguments);

/// The error of a call that this thread made, with the text of signcclGetLastError().
xla::ffi::Error errorOf(signcclResult_t result);

}  // namespace signccl::jax

#endif  // SIGNCCL_JAX_ARRAYS_H_
