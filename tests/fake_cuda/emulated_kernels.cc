// SPDX-License-Identifier: Apache-2.0
// A libsignccl_cuda.so for the fake driver: an image that nobody looks at, and the kernels of a GPU as the host runs
// them, made known to the fake when this is loaded.
#include <cstddef>
#include <cstdint>

#include "fake_cuda/fake_cuda.h"
#include "kernels/device/image.h"
#include "kernels/device/kernel_list.h"
#include "kernels/kernels.h"
#include "kernels/lanes/check_signs.h"
#include "kernels/lanes/count.h"
#include "kernels/lanes/count_decide.h"
#include "kernels/lanes/counters.h"
#include "kernels/lanes/decode_avg.h"
#include "kernels/lanes/decode_sum.h"
#include "kernels/lanes/decode_vote.h"
#include "kernels/lanes/encode.h"
#include "kernels/lanes/lion_begin.h"
#include "kernels/lanes/lion_decode.h"
#include "kernels/lanes/lion_encode.h"
#include "kernels/lanes/replay.h"
#include "kernels/lanes/run_on_host.h"
#include "kernels/lanes/wait.h"
#include "signccl/version.h"

namespace signccl {
namespace {

/// Kernels touch device memory at its second address.
struct TranslatedMemory {
  static const void* address(const void* address) { return fake_cuda::FakeMemory::translate(address); }
  static void* address(void* address) { return fake_cuda::FakeMemory::translate(address); }
};

template <typename Body, typename Arguments>
void run(std::uint32_t blocks, std::uint32_t /*threads*/, const void* arguments) {
  lanes::runOnHost<TranslatedMemory, Body>(*static_cast<const Arguments*>(arguments), blocks);
}

struct Registration {
  Registration() {
#define SIGNCCL_REGISTER(name, Arguments, ...) \
  fake_cuda::registerKernel("signccl_" #name, sizeof(Arguments), run<__VA_ARGS__, Arguments>);
    SIGNCCL_DEVICE_KERNELS(SIGNCCL_REGISTER)
#undef SIGNCCL_REGISTER
  }
};

const Registration kRegistration;
constexpr char kImage[] = "emulated";

}  // namespace
}  // namespace signccl

extern "C" SIGNCCL_FAKE_CUDA_EXPORT int signcclCudaImage(int /*version*/, const void** image, std::size_t* bytes) {
  *image = signccl::kImage;
  *bytes = sizeof(signccl::kImage);
  return SIGNCCL_VERSION_CODE;
}
