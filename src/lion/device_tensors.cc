// SPDX-License-Identifier: Apache-2.0
#include "lion/device_tensors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "base/error.h"
#include "device/driver_error.h"

namespace signccl {
namespace {

/// The word that the host reads and the number of replays come before what is copied, each on a line of its own.
constexpr std::size_t kReplaysPlace = 128;
constexpr std::size_t kHostBytes = 256;
constexpr std::size_t kAlignment = 16;

/// Hands out places one after the other.
class Places {
 public:
  template <typename T>
  std::size_t take(std::size_t count) {
    const std::size_t place = bytes_;
    bytes_ += (count * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    return place;
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_ = 0;
};

void add(std::vector<TensorTable>& tables, const TensorTable& like, std::size_t tensor, const LionEntry& entry) {
  auto found = std::ranges::find_if(tables, [&](const TensorTable& table) {
    return table.type == like.type && table.gradient_type == like.gradient_type;
  });
  if (found == tables.end()) {
    tables.push_back(like);
    found = tables.end() - 1;
  }
  found->tensors.push_back(tensor);
  found->entries.push_back(entry);
}

std::vector<TensorTable> momentumTables(std::span<const StepTensor> tensors) {
  std::vector<TensorTable> tables;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const LionTensor& tensor = tensors[i].tensor;
    TensorTable like;
    like.type = tensor.momentum_type;
    like.gradient_type = tensor.gradient_type;
    add(tables, like, i, {tensor.momenta, tensor.count, tensors[i].first_word, tensor.group});
  }
  return tables;
}

std::vector<TensorTable> parameterTables(std::span<const StepTensor> tensors) {
  std::vector<TensorTable> tables;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const LionTensor& tensor = tensors[i].tensor;
    TensorTable like;
    like.type = tensor.parameter_type;
    add(tables, like, i, {tensor.parameters, tensor.count, tensors[i].first_word, tensor.group});
  }
  return tables;
}

std::size_t uploadBytes(const std::vector<TensorTable>& momenta, const std::vector<TensorTable>& parameters) {
  Places places;
  for (const auto* const tables : {&momenta, &parameters}) {
    for (const TensorTable& table : *tables) {
      places.take<LionEntry>(table.tensors.size());
      places.take<std::uint32_t>(table.tensors.size());
    }
  }
  return places.bytes();
}

std::size_t writtenBytes(std::size_t ntensors, std::size_t ntables, std::size_t ngroups) {
  Places places;
  places.take<LionHyperparameters>(ngroups);
  places.take<LionStepState>(1);
  places.take<LionGradients>(ntensors);
  return places.bytes() + ntables * kAlignment;
}

}  // namespace

DeviceTensors::DeviceTensors(const std::shared_ptr<Device>& device, std::span<const StepTensor> tensors,
                             std::size_t ngroups)
    : device_(device),
      momenta_(momentumTables(tensors)),
      parameters_(parameterTables(tensors)),
      pinned_(device, kHostBytes + uploadBytes(momenta_, parameters_)),
      memory_(device, uploadBytes(momenta_, parameters_) + writtenBytes(tensors.size(), momenta_.size(), ngroups)) {
  auto* const base = static_cast<std::byte*>(memory_.pointer());
  host_skips_ = new (pinned_.host()) std::atomic<std::uint32_t>(0);
  new (pinned_.host() + kReplaysPlace) std::uint64_t(0);
  Places places;
  const auto copy = [&]<typename T>(const std::vector<T>& from) {
    const std::size_t place = places.take<T>(from.size());
    std::memcpy(pinned_.host() + kHostBytes + place, from.data(), from.size() * sizeof(T));
    return reinterpret_cast<const T*>(base + place);
  };
  for (auto* const tables : {&momenta_, &parameters_}) {
    for (TensorTable& table : *tables) {
      table.first_tile.resize(table.entries.size());
      const std::uint64_t ntiles = layOutLionTiles(table.entries, table.first_tile);
      SIGNCCL_ASSERT(ntiles <= std::numeric_limits<std::uint32_t>::max());
      table.on_device.tensors = copy(table.entries);
      table.on_device.first_tile = copy(table.first_tile);
      table.on_device.ntensors = static_cast<std::uint32_t>(table.entries.size());
    }
  }
  upload_bytes_ = places.bytes();
  groups_ = reinterpret_cast<LionHyperparameters*>(base + places.take<LionHyperparameters>(ngroups));
  state_ = reinterpret_cast<LionStepState*>(base + places.take<LionStepState>(1));
  for (TensorTable& table : momenta_) {
    table.gradients = reinterpret_cast<LionGradients*>(base + places.take<LionGradients>(table.tensors.size()));
    table.on_device.groups = groups_;
  }
  for (TensorTable& table : parameters_) table.on_device.groups = groups_;
  SIGNCCL_ASSERT(places.bytes() <= memory_.bytes());
}

std::uint64_t* DeviceTensors::replaysAddress() const {
  return reinterpret_cast<std::uint64_t*>(pinned_.address() + kReplaysPlace);
}

void DeviceTensors::upload(CudaStream stream) const {
  const CudaDriver& driver = device_->driver();
  checkCuda(driver, driver.cuMemcpyHtoDAsync(memory_.address(), pinned_.host() + kHostBytes, upload_bytes_, stream),
            "cuMemcpyHtoDAsync", "of tables of ", upload_bytes_, " bytes to ", *device_);
}

}  // namespace signccl
