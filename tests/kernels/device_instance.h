// The kernels of a GPU on a GPU, as one more instance of Kernels: buffers are copied to the device and back. What finds a
// driver, be it a fake one, runs every test of kernels on it, if the variable SIGNCCL_TEST_DEVICE is set.
#ifndef SIGNCCL_TESTS_KERNELS_DEVICE_INSTANCE_H_
#define SIGNCCL_TESTS_KERNELS_DEVICE_INSTANCE_H_

#include <string>

#include "kernels/kernels.h"

namespace signccl {

/// Named "device". Its functions throw the library's Error where CUDA fails, and std::logic_error if a kernel has
/// written beyond its outputs. Null unless SIGNCCL_TEST_DEVICE asks for it.
const Kernels* deviceInstance();

/// Why the instance cannot run: no driver, no device, no kernels. Empty: it can.
const std::string& whyNoDevice();

}  // namespace signccl

#endif  // SIGNCCL_TESTS_KERNELS_DEVICE_INSTANCE_H_
