// SPDX-License-Identifier: Apache-2.0
// A program that calls NCCL as its users do: two ranks, which are threads, sum vectors of threes on devices. It is
// linked with the stand-in, behind which is the fake NCCL under another name. Prints the first element that rank 0 has,
// or the error of its all-reduce.
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "fake_cuda/driver_api.h"
#include "fake_cuda/fake_cuda.h"
#include "fake_nccl/nccl_api.h"

namespace {

using signccl::NcclResult;

constexpr int kRanks = 2;
constexpr std::size_t kCount = 100'000;
constexpr int kFloat32 = 7;
constexpr int kSum = 0;

/// Ends the program if a call of the driver fails.
void expectCuda(signccl::CudaResult result) {
  if (result == signccl::CudaResult::kSuccess) return;
  std::printf("a call of the driver failed\n");
  std::exit(2);  // NOLINT(concurrency-mt-unsafe)
}

void runRank(int rank, const signccl::NcclUniqueId& id) {
  signccl::CudaContext context = nullptr;
  expectCuda(signccl::cuDevicePrimaryCtxRetain(&context, rank));
  expectCuda(signccl::cuCtxPushCurrent_v2(context));
  std::vector<float> host(kCount, 3);
  signccl::CudaDevicePointer memory = 0;
  expectCuda(signccl::cuMemAlloc_v2(&memory, kCount * sizeof(float)));
  expectCuda(signccl::cuMemcpyHtoD_v2(memory, host.data(), kCount * sizeof(float)));
  signccl::CudaStream stream = nullptr;
  expectCuda(signccl::cuStreamCreateWithPriority(&stream, signccl::kCudaStreamNonBlocking, 0));

  signccl::NcclConfig config{};
  config.size = sizeof(config);
  config.magic = signccl::kNcclConfigMagic;
  config.version = 23203;
  config.blocking = 1;
  signccl::NcclHandle comm = nullptr;
  const NcclResult made = signccl::ncclCommInitRankConfig(&comm, kRanks, id, rank, &config);
  if (made != NcclResult::kSuccess) {
    if (rank == 0) std::printf("error %d: %s\n", static_cast<int>(made), signccl::ncclGetLastError(nullptr));
    return;
  }
  void* const buffer = reinterpret_cast<void*>(memory);
  const NcclResult result = signccl::ncclAllReduce(buffer, buffer, kCount, kFloat32, kSum, comm, stream);
  if (rank == 0 && result != NcclResult::kSuccess) {
    std::printf("error %d: %s\n", static_cast<int>(result), signccl::ncclGetLastError(comm));
  }
  expectCuda(signccl::cuStreamSynchronize(stream));
  expectCuda(signccl::cuMemcpyDtoH_v2(host.data(), memory, kCount * sizeof(float)));
  if (rank == 0 && result == NcclResult::kSuccess) std::printf("element %g\n", static_cast<double>(host[0]));
  signccl::ncclCommDestroy(comm);
  signccl::cuStreamDestroy_v2(stream);
  signccl::cuMemFree_v2(memory);
  signccl::cuCtxPopCurrent_v2(nullptr);
  signccl::cuDevicePrimaryCtxRelease_v2(rank);
}

}  // namespace

int main() {
  fake_cuda::reset({.devices = kRanks});
  expectCuda(signccl::cuInit(0));
  signccl::NcclUniqueId id{};
  if (signccl::ncclGetUniqueId(&id) != NcclResult::kSuccess) {
    std::printf("no unique id: %s\n", signccl::ncclGetLastError(nullptr));
    return 1;
  }
  std::vector<std::jthread> ranks;
  for (int rank = 0; rank < kRanks; ++rank) ranks.emplace_back(runRank, rank, id);
  return 0;
}
