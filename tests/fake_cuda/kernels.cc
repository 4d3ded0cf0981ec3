// SPDX-License-Identifier: Apache-2.0
// Libraries of kernels, and their launches. The kernels are those that tests registered.
#include <cstring>

#include "fake_cuda/driver_api.h"
#include "fake_cuda/streams.h"

namespace signccl {

using fake_cuda::call;
using fake_cuda::Call;
using fake_cuda::expect;
using fake_cuda::Needs;
using fake_cuda::objectOf;

namespace {

constexpr unsigned int kMostThreads = 1024;

/// A kernel of a library that is loaded. A function is a kernel in a context, and both may be launched.
CUkern_st& kernelOf(Call& c, const void* handle) {
  for (const auto& [key, library] : c.state.libraries) {
    for (const auto& kernel : library->kernels) {
      if (kernel.get() == handle) return *kernel;
    }
  }
  throw fake_cuda::Failure{CudaResult::kInvalidHandle};
}

CudaFunction functionOf(CUkern_st& kernel) { return reinterpret_cast<CudaFunction>(&kernel); }

/// The code of a kernel comes into a context when it is first needed there, for which all streams must be done.
void loadInto(Call& c, CUkern_st& kernel) {
  if (kernel.loaded.contains(c.context)) return;
  waitForDevice(c, c.context->device, "the loading of a kernel");
  kernel.loaded.insert(c.context);
}

bool isLaunchable(const CudaLaunchConfig& config) {
  const unsigned long long threads = 1ULL * config.block[0] * config.block[1] * config.block[2];
  return config.grid[0] > 0 && config.grid[1] == 1 && config.grid[2] == 1 && threads > 0 && threads <= kMostThreads &&
         config.shared_bytes == 0 && config.nattributes == 0;
}

}  // namespace

CudaResult cuLibraryLoadData(CudaLibrary* library, const void* image, void* /*jit_options*/, void** /*jit_values*/,
                             unsigned int njit_options, void* /*options*/, void** /*values*/, unsigned int noptions) {
  return call("cuLibraryLoadData", Needs::kNoCapture, [&](Call& c) {
    expect(image != nullptr && njit_options == 0 && noptions == 0, CudaResult::kInvalidValue);
    expect(c.state.config.image_result == CudaResult::kSuccess, c.state.config.image_result);
    auto made = std::make_unique<CUlib_st>();
    *library = made.get();
    c.state.libraries[made.get()] = std::move(made);
  });
}

CudaResult cuLibraryUnload(CudaLibrary library) {
  return call("cuLibraryUnload", Needs::kInit, [&](Call& c) {
    objectOf(c.state.libraries, library);
    c.state.libraries.erase(library);
  });
}

CudaResult cuLibraryGetKernel(CudaKernel* kernel, CudaLibrary library, const char* name) {
  return call("cuLibraryGetKernel", Needs::kInit, [&](Call& c) {
    CUlib_st& found = *objectOf(c.state.libraries, library);
    for (const auto& known : found.kernels) {
      if (known->name != name) continue;
      *kernel = known.get();
      return;
    }
    auto made = std::make_unique<CUkern_st>();
    expect(fake_cuda::findKernel(name, *made), CudaResult::kNotFound);
    *kernel = made.get();
    found.kernels.push_back(std::move(made));
  });
}

CudaResult cuKernelGetFunction(CudaFunction* function, CudaKernel kernel) {
  return call("cuKernelGetFunction", Needs::kNoCapture, [&](Call& c) {
    CUkern_st& found = kernelOf(c, kernel);
    loadInto(c, found);
    *function = functionOf(found);
  });
}

CudaResult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CudaFunction function, int block_threads,
                                                       std::size_t /*shared_bytes*/) {
  return call("cuOccupancyMaxActiveBlocksPerMultiprocessor", Needs::kContext, [&](Call& c) {
    kernelOf(c, function);
    expect(block_threads > 0, CudaResult::kInvalidValue);
    *blocks = 2048 / block_threads;
  });
}

CudaResult cuLaunchKernelEx(const CudaLaunchConfig* config, CudaFunction function, void** arguments, void** extra) {
  return call("cuLaunchKernelEx", Needs::kContext, [&](Call& c) {
    expect(isLaunchable(*config) && arguments != nullptr && extra == nullptr, CudaResult::kInvalidValue);
    const auto stream = streamOf(c, config->stream);
    expectOwn(c, *stream);
    CUkern_st& kernel = kernelOf(c, function);
    loadInto(c, kernel);
    // Room for any struct, aligned as one may have to be.
    std::vector<std::max_align_t> copied(kernel.argument_bytes / sizeof(std::max_align_t) + 1);
    std::memcpy(copied.data(), arguments[0], kernel.argument_bytes);
    const unsigned int threads = config->block[0] * config->block[1] * config->block[2];
    enqueue(c, stream, [copied, threads, blocks = config->grid[0], run = kernel.function](const auto& /*cancelled*/) {
      run(blocks, threads, copied.data());
    });
    if (c.state.config.launches_block && stream->capture == nullptr) waitForStream(c, stream, "a launch that blocks");
  });
}

}  // namespace signccl
