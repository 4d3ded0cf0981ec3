// SPDX-License-Identifier: Apache-2.0
// One rank's part in a sum: its buffers on a device, in pinned or in ordinary host memory, the call, and what became of
// it.
#ifndef SIGNCCL_TESTS_STREAM_STREAM_SUM_JOB_H_
#define SIGNCCL_TESTS_STREAM_STREAM_SUM_JOB_H_

#include <algorithm>
#include <cstddef>
#include <optional>
#include <random>
#include <vector>

#include "../api/sums.h"
#include "stream_job.h"

namespace signccl {

/// Where a rank has its buffers.
enum class Place { kDevice, kPinned, kHost };

/// What a rank gives to a sum. In place: the result replaces the elements.
struct SumShape {
  ElementType type = ElementType::kFloat32;
  std::size_t count = 0;
  int zero = signcclZeroBinary;
  bool in_place = false;
  int misfit = signcclMisfitKeep;
};

/// [count] signs, with zeros if the zero rule has them.
inline std::vector<std::byte> signsFor(const SumShape& shape, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> elements(elementBytes(shape.type, shape.count));
  fillSigns(shape.type, shape.count, shape.zero == signcclZeroTernary, random, elements.data());
  return elements;
}

/// The buffers of one rank. The receive buffer has a pattern before the call.
class SumBuffers {
 public:
  static constexpr std::byte kUntouched{0x77};

  /// `offset`: elements by which device buffers are misaligned.
  SumBuffers(const SumShape& shape, Place place, std::size_t offset, const std::vector<std::byte>& input)
      : shape_(shape), place_(place), before_(shape.in_place ? input : std::vector(input.size(), kUntouched)) {
    const std::size_t bytes = input.size();
    if (place == Place::kDevice) {
      device_send_.emplace(bytes, offset * elementBytes(shape.type, 1));
      device_recv_.emplace(bytes, offset * elementBytes(shape.type, 1));
      device_send_->put(input);
      device_recv_->put(before_);
      return;
    }
    if (place == Place::kPinned) {
      expectCuda(cuMemHostAlloc(&pinned_, 2 * bytes + 16, kCudaHostAllocDeviceMap));
    } else {
      host_.resize(2 * bytes + 16);
    }
    std::ranges::copy(input, hostSend());
    std::ranges::copy(before_, hostSend() + recvOffset());
  }
  ~SumBuffers() {
    if (pinned_ != nullptr) cuMemFreeHost(pinned_);
  }
  SumBuffers(const SumBuffers&) = delete;
  SumBuffers& operator=(const SumBuffers&) = delete;

  signcclResult_t call(signcclComm_t comm, CudaStream stream, signcclSumOutcome_t* outcome) {
    signcclSignConfig_t config = SIGNCCL_SIGN_CONFIG_INITIALIZER;
    config.zeroRule = shape_.zero;
    config.misfitRule = shape_.misfit;
    const bool is_device = place_ == Place::kDevice;
    void* const send = is_device ? device_send_->data() : hostSend();
    void* recv = is_device ? device_recv_->data() : hostSend() + recvOffset();
    if (shape_.in_place) recv = send;
    return signcclAllReduceSum(send, recv, shape_.count, dataTypeOf(shape_.type), &config, comm,
                               place_ == Place::kHost ? nullptr : stream, outcome);
  }

  /// What the receive buffer holds, once the stream is synchronised.
  [[nodiscard]] std::vector<std::byte> result() {
    if (place_ == Place::kDevice) {
      EXPECT_TRUE(device_send_->isIntact() && device_recv_->isIntact());
      return (shape_.in_place ? device_send_ : device_recv_)->get();
    }
    const std::byte* const recv = hostSend() + (shape_.in_place ? 0 : recvOffset());
    return {recv, recv + before_.size()};
  }
  [[nodiscard]] bool isUntouched() { return result() == before_; }

 private:
  std::byte* hostSend() { return place_ == Place::kPinned ? static_cast<std::byte*>(pinned_) : host_.data(); }
  [[nodiscard]] std::size_t recvOffset() const { return (before_.size() + 15) / 16 * 16; }

  SumShape shape_;
  Place place_;
  std::vector<std::byte> before_;
  std::optional<DeviceBuffer> device_send_;
  std::optional<DeviceBuffer> device_recv_;
  void* pinned_ = nullptr;
  std::vector<std::byte> host_;
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_STREAM_STREAM_SUM_JOB_H_
