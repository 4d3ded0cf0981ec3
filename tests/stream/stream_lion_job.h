// SPDX-License-Identifier: Apache-2.0
// Ranks of the job of lion_job.h whose tensors are in device memory.
#ifndef SIGNCCL_TESTS_STREAM_STREAM_LION_JOB_H_
#define SIGNCCL_TESTS_STREAM_STREAM_LION_JOB_H_

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "../api/lion_job.h"
#include "stream_job.h"

namespace signccl {

/// A copy on the current device, aligned to its elements only, unless `offset` is a multiple of 8.
inline std::unique_ptr<DeviceBuffer> deviceCopyOf(const FloatBuffer& buffer, std::size_t offset) {
  auto copy = std::make_unique<DeviceBuffer>(buffer.bytes().size(), offset * floatBytes(buffer.type()));
  copy->put(buffer.bytes());
  return copy;
}

inline bool areEqual(const DeviceBuffer& buffer, const FloatBuffer& expected) {
  return buffer.isIntact() && std::ranges::equal(buffer.get(), expected.bytes());
}

/// With a current device, which is that of its memory.
class DeviceLionRank {
 public:
  DeviceLionRank(const LionReference& reference, int rank, const ReferenceLionRules& rules, signcclComm_t comm) {
    std::vector<void*> addresses[2];
    std::vector<std::size_t> counts;
    std::vector<int> types[3];
    std::vector<int> groups;
    const std::vector<LionShape>& shapes = reference.shapes();
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      parameters_.push_back(deviceCopyOf(reference.parameters(i), i % 3));
      momenta_.push_back(deviceCopyOf(reference.momenta(i, rank), i % 2));
      addresses[0].push_back(shapes[i].count == 0 ? nullptr : parameters_.back()->data());
      addresses[1].push_back(shapes[i].count == 0 ? nullptr : momenta_.back()->data());
      counts.push_back(shapes[i].count);
      types[0].push_back(dataTypeOf(shapes[i].parameters));
      types[1].push_back(dataTypeOf(shapes[i].momenta));
      types[2].push_back(dataTypeOf(shapes[i].gradients));
      groups.push_back(shapes[i].group);
    }
    signcclLionConfig_t config = configOf(rules);
    config.tensorCount = shapes.size();
    config.parameters = addresses[0].data();
    config.momenta = addresses[1].data();
    config.counts = counts.data();
    config.parameterTypes = types[0].data();
    config.momentumTypes = types[1].data();
    config.gradientTypes = types[2].data();
    config.groups = groups.data();
    config.groupCount = *std::ranges::max_element(groups) + 1;
    EXPECT_EQ(signcclLionCreate(&lion_, &config, comm), signcclSuccess) << signcclGetLastError(comm);
  }
  ~DeviceLionRank() { destroy(); }
  DeviceLionRank(const DeviceLionRank&) = delete;
  DeviceLionRank& operator=(const DeviceLionRank&) = delete;

  [[nodiscard]] signcclLion_t lion() const { return lion_; }
  [[nodiscard]] const Stream& stream() const { return stream_; }
  [[nodiscard]] std::size_t ntensors() const { return parameters_.size(); }

  void destroy() {
    if (lion_ != nullptr) {
      EXPECT_EQ(signcclLionDestroy(lion_), signcclSuccess) << signcclGetLastError(nullptr);
    }
    lion_ = nullptr;
  }

  /// Copies gradients, null for none, to where the next step finds them: every other time elsewhere. No step that reads
  /// the last ones is under way.
  void setGradients(const std::vector<const FloatBuffer*>& gradients) {
    std::swap(gradients_, other_gradients_);
    gradients_.resize(gradients.size());
    addresses_.assign(gradients.size(), nullptr);
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      if (gradients[i] == nullptr) continue;
      if (gradients_[i]) {
        gradients_[i]->put(gradients[i]->bytes());
      } else {
        gradients_[i] = deviceCopyOf(*gradients[i], (i + 1) % 2);
      }
      addresses_[i] = gradients_[i]->data();
    }
  }
  /// Copies gradients to where the last ones are. The same ones are missing.
  void refillGradients(const std::vector<const FloatBuffer*>& gradients) const {
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      if (gradients[i] != nullptr) gradients_[i]->put(gradients[i]->bytes());
    }
  }
  [[nodiscard]] const void* const* gradients() const { return addresses_.data(); }

  /// True if the rank holds what the reference says, and nothing else was written.
  [[nodiscard]] bool agreesWith(const LionReference& reference, int rank) const {
    stream_.synchronize();
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      if (!areEqual(*parameters_[i], reference.parameters(i))) return false;
      if (!areEqual(*momenta_[i], reference.momenta(i, rank))) return false;
    }
    return true;
  }

  [[nodiscard]] const DeviceBuffer& parameters(std::size_t tensor) const { return *parameters_[tensor]; }
  [[nodiscard]] const DeviceBuffer& momenta(std::size_t tensor) const { return *momenta_[tensor]; }

 private:
  Stream stream_;
  signcclLion_t lion_ = nullptr;
  std::vector<std::unique_ptr<DeviceBuffer>> parameters_, momenta_, gradients_, other_gradients_;
  std::vector<const void*> addresses_;
};

/// A rank whose tensors are on the device or in host memory.
class AnyLionRank {
 public:
  AnyLionRank(const LionReference& reference, int rank, const ReferenceLionRules& rules, signcclComm_t comm,
              bool is_on_device)
      : rank_(rank) {
    if (is_on_device) {
      on_device_.emplace(reference, rank, rules, comm);
    } else {
      on_host_ = reference.makeRank(rank, comm);
    }
  }

  /// Begins a step; submits it in buckets of `bucket` tensors, and ends it.
  void step(const LionReference& reference, signcclLionStepConfig_t config, std::size_t bucket) {
    begin(reference, config);
    for (std::size_t first = 0; first < reference.shapes().size(); first += bucket) {
      const std::size_t n = std::min(bucket, reference.shapes().size() - first);
      ASSERT_EQ(signcclLionSubmit(lion(), first, n, gradients() + first), signcclSuccess)
          << signcclGetLastError(nullptr);
    }
    finish();
  }
  void begin(const LionReference& reference, signcclLionStepConfig_t config) {
    if (on_device_) config.stream = on_device_->stream().get();
    on_device_ ? on_device_->setGradients(reference.gradientsOf(rank_))
               : on_host_->setGradients(reference.gradientsOf(rank_));
    ASSERT_EQ(signcclLionBegin(lion(), &config), signcclSuccess) << signcclGetLastError(nullptr);
  }
  void finish(int was_skipped = 0) {
    int done = 0;
    int skipped = 99;
    ASSERT_EQ(signcclLionFinish(lion(), -1, &done, &skipped), signcclSuccess) << signcclGetLastError(nullptr);
    EXPECT_EQ(done, 1);
    EXPECT_EQ(skipped, on_device_ ? -1 : was_skipped);
  }
  [[nodiscard]] signcclLion_t lion() const { return on_device_ ? on_device_->lion() : on_host_->lion(); }
  [[nodiscard]] const void* const* gradients() const {
    return on_device_ ? on_device_->gradients() : on_host_->gradients();
  }
  [[nodiscard]] bool agreesWith(const LionReference& reference) const {
    return on_device_ ? on_device_->agreesWith(reference, rank_) : reference.agreesWith(rank_, *on_host_);
  }
  [[nodiscard]] const DeviceLionRank& onDevice() const { return *on_device_; }

 private:
  int rank_;
  std::optional<DeviceLionRank> on_device_;
  std::unique_ptr<LionRank> on_host_;
};

/// Values of a type in device memory.
template <typename T>
class DeviceValues {
 public:
  explicit DeviceValues(const std::vector<T>& values) : buffer_(values.size() * sizeof(T)) { set(values); }
  void set(const std::vector<T>& values) { buffer_.put(std::as_bytes(std::span(values))); }
  [[nodiscard]] T* data() const { return static_cast<T*>(buffer_.data()); }
  [[nodiscard]] T get() const {
    T value;
    std::memcpy(&value, buffer_.get().data(), sizeof(T));
    return value;
  }

 private:
  DeviceBuffer buffer_;
};

/// Begins a step on the rank's stream, submits it in buckets, and ends it.
inline void stepInBuckets(const DeviceLionRank& lion, signcclLionStepConfig_t config, std::size_t bucket = 1'000) {
  config.stream = lion.stream().get();
  ASSERT_EQ(signcclLionBegin(lion.lion(), &config), signcclSuccess) << signcclGetLastError(nullptr);
  for (std::size_t first = 0; first < lion.ntensors(); first += bucket) {
    const std::size_t n = std::min(bucket, lion.ntensors() - first);
    ASSERT_EQ(signcclLionSubmit(lion.lion(), first, n, lion.gradients() + first), signcclSuccess)
        << signcclGetLastError(nullptr);
  }
  int done = 0;
  int skipped = 99;
  ASSERT_EQ(signcclLionFinish(lion.lion(), -1, &done, &skipped), signcclSuccess) << signcclGetLastError(nullptr);
  EXPECT_EQ(done, 1);
  EXPECT_EQ(skipped, -1);
}

}  // namespace signccl

#endif  // SIGNCCL_TESTS_STREAM_STREAM_LION_JOB_H_
