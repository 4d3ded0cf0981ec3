// What XLA says about the execution that a handler is called in: which one, and on which device. The headers of jaxlib
// 0.6.2 have it in C alone.
#ifndef SIGNCCL_JAX_EXECUTION_H_
#define SIGNCCL_JAX_EXECUTION_H_

#include <cstdint>
#include <optional>

#include "xla/ffi/api/c_api.h"
#include "xla/ffi/api/ffi.h"

namespace signccl::jax {

struct Execution {
  std::int64_t run = 0;      ///< the same on all devices of one execution of a program; 0 if XLA does not say
  std::int32_t device = -1;  ///< number of the device in this process
};

}  // namespace signccl::jax

/// `Ctx<Execution>` in a binding.
template <>
struct xla::ffi::CtxDecoding<signccl::jax::Execution> {
  using Type = signccl::jax::Execution;

  static std::optional<Type> Decode(const XLA_FFI_Api* api, XLA_FFI_ExecutionContext* ctx, DiagnosticEngine&) {
    Type execution;
    XLA_FFI_RunId_Get_Args run{XLA_FFI_RunId_Get_Args_STRUCT_SIZE, nullptr, ctx, 0};
    if (succeeded(api, api->XLA_FFI_RunId_Get(&run))) execution.run = run.run_id;
    XLA_FFI_DeviceOrdinal_Get_Args device{XLA_FFI_DeviceOrdinal_Get_Args_STRUCT_SIZE, nullptr, ctx, 0};
    if (succeeded(api, api->XLA_FFI_DeviceOrdinal_Get(&device))) execution.device = device.device_ordinal;
    return execution;
  }

 private:
  static bool succeeded(const XLA_FFI_Api* api, XLA_FFI_Error* error) {
    if (error == nullptr) return true;
    XLA_FFI_Error_Destroy_Args destroy{XLA_FFI_Error_Destroy_Args_STRUCT_SIZE, nullptr, error};
    api->XLA_FFI_Error_Destroy(&destroy);
    return false;
  }
};

#endif  // SIGNCCL_JAX_EXECUTION_H_
