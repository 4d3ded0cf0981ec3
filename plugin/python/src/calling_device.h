// SPDX-License-Identifier: Apache-2.0
// On which device XLA calls a handler. The headers of jaxlib 0.6.2 have it in C alone.
#ifndef SIGNCCL_JAX_CALLING_DEVICE_H_
#define SIGNCCL_JAX_CALLING_DEVICE_H_

#include <cstdint>
#include <optional>

#include "xla/ffi/api/c_api.h"
#include "xla/ffi/api/ffi.h"

namespace signccl::jax {

struct CallingDevice {
  std::int32_t number = -1;  ///< among the devices of this process; -1 if XLA does not say
};

}  // namespace signccl::jax

/// `Ctx<CallingDevice>` in a binding.
template <>
struct xla::ffi::CtxDecoding<signccl::jax::CallingDevice> {
  using Type = signccl::jax::CallingDevice;

  // NOLINTNEXTLINE(readability-identifier-naming): XLA's name
  static std::optional<Type> Decode(const XLA_FFI_Api* api, XLA_FFI_ExecutionContext* ctx, DiagnosticEngine&) {
    XLA_FFI_DeviceOrdinal_Get_Args device{XLA_FFI_DeviceOrdinal_Get_Args_STRUCT_SIZE, nullptr, ctx, 0};
    XLA_FFI_Error* const error = api->XLA_FFI_DeviceOrdinal_Get(&device);
    if (error == nullptr) return Type{device.device_ordinal};
    XLA_FFI_Error_Destroy_Args destroy{XLA_FFI_Error_Destroy_Args_STRUCT_SIZE, nullptr, error};
    api->XLA_FFI_Error_Destroy(&destroy);
    return Type{};
  }
};

#endif  // SIGNCCL_JAX_CALLING_DEVICE_H_
