// SPDX-License-Identifier: Apache-2.0
#include "nccl/nccl_messages.h"

#include "device/driver_error.h"
#include "nccl/nccl_error.h"

namespace signccl {

void NcclMessages::gather(const void* part, void* all, std::size_t nwords, const char* what, CudaStream stream) const {
  const NcclLibrary& nccl = rank_.nccl().nccl();
  const NcclHandle handle = rank_.nccl().handle();
  checkNccl(nccl, nccl.ncclAllGather(part, all, nwords, NcclDataType::kUint64, handle, stream), what, handle);
}

void NcclMessages::gatherSigns(std::size_t number, CudaStream stream) const {
  const WordRange slice = layout_.slice(number);
  gather(memory_.words(layout_.signsOffset(slice)), memory_.words(layout_.votesOffset()), planes_ * slice.size,
         "ncclAllGather of signs", stream);
}

void NcclMessages::scatterSigns(std::size_t number, CudaStream stream) const {
  const NcclLibrary& nccl = rank_.nccl().nccl();
  const NcclHandle handle = rank_.nccl().handle();
  const WordRange slice = layout_.slice(number);
  const std::size_t chunk = layout_.countedWords(slice);
  const auto signs = [&](Rank counting, std::size_t plane) {
    return layout_.signsOffset(slice) + plane * slice.size + static_cast<std::size_t>(counting) * chunk;
  };
  const auto votes = [&](Rank voting, std::size_t plane) {
    return layout_.votesOffset() + (static_cast<std::size_t>(voting) * planes_ + plane) * chunk;
  };
  const Rank own = rank_.comm().rank();
  const int nranks = rank_.comm().nranks();
  for (std::size_t plane = 0; plane < planes_; ++plane) {
    const Device& device = *rank_.device()->device();
    checkCuda(device.driver(),
              device.driver().cuMemcpyAsync(memory_.address(votes(own, plane)), memory_.address(signs(own, plane)),
                                            chunk * sizeof(Word), stream),
              "cuMemcpyAsync", "of ", chunk * sizeof(Word), " bytes of signs on ", device);
    // Each rank begins with another peer.
    for (int distance = 1; distance < nranks; ++distance) {
      const Rank to = (own + distance) % nranks;
      const Rank from = (own + nranks - distance) % nranks;
      checkNccl(nccl, nccl.ncclSend(memory_.words(signs(to, plane)), chunk, NcclDataType::kUint64, to, handle, stream),
                "ncclSend of signs", handle);
      checkNccl(nccl,
                nccl.ncclRecv(memory_.words(votes(from, plane)), chunk, NcclDataType::kUint64, from, handle, stream),
                "ncclRecv of signs", handle);
    }
  }
}

/// In place: each rank has written its chunk where it belongs.
void NcclMessages::gatherResults(std::size_t number, CudaStream stream) const {
  const WordRange slice = layout_.slice(number);
  const std::size_t chunk = layout_.countedWords(slice);
  for (int plane = 0; plane < layout_.gatheredPlanes(); ++plane) {
    Word* const all = memory_.words(layout_.resultsOffset(number) + static_cast<std::size_t>(plane) * slice.size);
    gather(all + static_cast<std::size_t>(rank_.comm().rank()) * chunk, all, chunk, "ncclAllGather of results", stream);
  }
}

void NcclMessages::gatherWord(const void* word, std::size_t offset, const char* what, CudaStream stream) const {
  gather(word, memory_.words(offset), 1, what, stream);
}

}  // namespace signccl
