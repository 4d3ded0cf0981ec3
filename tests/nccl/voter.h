// SPDX-License-Identifier: Apache-2.0
// A rank's buffers on a device and its stream, for votes on equal elements.
#ifndef SIGNCCL_TESTS_NCCL_VOTER_H_
#define SIGNCCL_TESTS_NCCL_VOTER_H_

#include <atomic>
#include <thread>
#include <vector>

#include "nccl_job.h"

namespace signccl {

class Voter {
 public:
  static constexpr std::size_t kCount = 10'000;
  static constexpr std::byte kUntouched{0x77};

  Voter(int device, float value) : current_(device), send_(kBytes), recv_(kBytes) {
    set(value);
    clear();
  }

  void clear() { recv_.put(std::vector<std::byte>(kBytes, kUntouched)); }
  void set(float value) { send_.put(bytesOf(value)); }

  signcclResult_t vote(signcclComm_t comm, const Case& tested = {}, std::size_t count = kCount) {
    return callOn(tested, send_.data(), recv_.data(), count, comm, stream_.get());
  }
  [[nodiscard]] const Stream& stream() const { return stream_; }

  /// The stream waits until `may_go_on`.
  void holdStream(std::atomic<bool>& may_go_on) const { signccl::holdStream(stream_.get(), may_go_on); }

  [[nodiscard]] bool hasResult(float value) {
    stream_.synchronize();
    return recv_.get() == bytesOf(value);
  }
  /// True if every element is untouched, or has the value, which is the result.
  [[nodiscard]] bool isUntouchedOr(float value) {
    stream_.synchronize();
    const std::vector<std::byte> bytes = recv_.get();
    const std::vector<std::byte> result = bytesOf(value);
    for (std::size_t i = 0; i < kBytes; i += sizeof(float)) {
      const bool is_untouched =
          std::all_of(&bytes[i], &bytes[i] + sizeof(float), [](std::byte byte) { return byte == kUntouched; });
      if (!is_untouched && !std::equal(&bytes[i], &bytes[i] + sizeof(float), &result[i])) return false;
    }
    return true;
  }
  [[nodiscard]] bool isUntouched() {
    stream_.synchronize();
    return recv_.get() == std::vector<std::byte>(kBytes, kUntouched);
  }

 private:
  static constexpr std::size_t kBytes = kCount * sizeof(float);

  static std::vector<std::byte> bytesOf(float value) {
    const std::vector<float> elements(kCount, value);
    std::vector<std::byte> bytes(kBytes);
    std::memcpy(bytes.data(), elements.data(), kBytes);
    return bytes;
  }

  CurrentDevice current_;
  DeviceBuffer send_;
  DeviceBuffer recv_;
  Stream stream_;
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_NCCL_VOTER_H_
