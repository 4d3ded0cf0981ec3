// SPDX-License-Identifier: Apache-2.0
#include "device/device.h"

#include <array>
#include <cstdio>
#include <map>
#include <mutex>

#include "base/fork.h"
#include "base/log.h"
#include "device/capture.h"
#include "device/driver_error.h"

namespace signccl {
namespace {

struct Devices {
  std::mutex mutex;
  std::map<int, std::weak_ptr<Device>> by_ordinal;
};

/// A forked child has devices of its own: none, as long as it was not forked before CUDA was used.
constinit PerProcess<Devices> devices;

int attributeOf(const CudaDriver& driver, CudaDevice device, CudaDeviceAttribute attribute) {
  int value = 0;
  checkCuda(driver, driver.cuDeviceGetAttribute(&value, attribute, device), "cuDeviceGetAttribute", "of attribute ",
            static_cast<unsigned>(attribute), " of device ", device);
  return value;
}

std::string nameOf(const CudaDriver& driver, CudaDevice device) {
  std::array<char, 256> name{};
  checkCuda(driver, driver.cuDeviceGetName(name.data(), static_cast<int>(name.size()) - 1, device), "cuDeviceGetName",
            "of device ", device);
  return name.data();
}

std::string pciAddressOf(const CudaDriver& driver, CudaDevice device) {
  const auto number = [&](CudaDeviceAttribute attribute) {
    return static_cast<unsigned>(attributeOf(driver, device, attribute));
  };
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%04x:%02x:%02x", number(CudaDeviceAttribute::kPciDomainId),
                number(CudaDeviceAttribute::kPciBusId), number(CudaDeviceAttribute::kPciDeviceId));
  return text.data();
}

std::string uuidOf(const CudaDriver& driver, CudaDevice device) {
  CudaUuid uuid{};
  checkCuda(driver, driver.cuDeviceGetUuid(&uuid, device), "cuDeviceGetUuid", "of device ", device);
  std::string text = "GPU";
  for (std::size_t i = 0; i < sizeof uuid.bytes; ++i) {
    constexpr const char* kDigits = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(uuid.bytes[i]);
    if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kDigits[byte / 16];
    text += kDigits[byte % 16];
  }
  return text;
}

DeviceFacts factsOf(const CudaDriver& driver, CudaDevice device) {
  const auto value = [&](CudaDeviceAttribute attribute) { return attributeOf(driver, device, attribute); };
  DeviceFacts facts;
  facts.major = value(CudaDeviceAttribute::kComputeCapabilityMajor);
  facts.minor = value(CudaDeviceAttribute::kComputeCapabilityMinor);
  facts.multiprocessors = value(CudaDeviceAttribute::kMultiprocessorCount);
  facts.threads_per_multiprocessor = value(CudaDeviceAttribute::kMaxThreadsPerMultiprocessor);
  facts.shares_host_memory = value(CudaDeviceAttribute::kIntegrated) != 0 ||
                             value(CudaDeviceAttribute::kPageableMemoryAccessUsesHostPageTables) != 0;
  facts.name = nameOf(driver, device);
  facts.pci_address = pciAddressOf(driver, device);
  facts.uuid = uuidOf(driver, device);
  return facts;
}

/// A child whose parent had used CUDA is refused by CUDA with words that do not say why.
void initialise(const CudaDriver& driver) {
  const CudaResult result = driver.cuInit(0);
  if (result == CudaResult::kNotInitialized && forkDepth() > 0) throwForkedCudaError();
  checkCuda(driver, result, "cuInit");
}

}  // namespace

std::string DeviceFacts::capability() const { return std::to_string(major) + "." + std::to_string(minor); }

std::shared_ptr<Device> Device::get(int ordinal) {
  const CudaDriver& driver = requiredCudaDriver("device memory");
  Devices& all = devices.get();
  const std::lock_guard lock(all.mutex);
  std::weak_ptr<Device>& known = all.by_ordinal[ordinal];
  if (std::shared_ptr<Device> device = known.lock()) return device;
  initialise(driver);
  const RelaxedCapture relaxed(driver);
  // Shared, since communicators, slots and kernels of a device end in any order.
  const std::shared_ptr<Device> device(new Device(driver, ordinal));
  known = device;
  log(LogLevel::kInfo, Subsystem::kInit, kNoRank, *device, ", ", device->facts().uuid, ", compute capability ",
      device->facts().capability(), ", ", device->facts().multiprocessors, " multiprocessors");
  return device;
}

Device::Device(const CudaDriver& driver, int ordinal) : driver_(driver), ordinal_(ordinal), fork_depth_(forkDepth()) {
  checkCuda(driver_, driver_.cuDeviceGet(&device_, ordinal), "cuDeviceGet", "of device ", ordinal);
  facts_ = factsOf(driver_, device_);
  checkCuda(driver_, driver_.cuDevicePrimaryCtxRetain(&context_, device_), "cuDevicePrimaryCtxRetain", "of ", *this);
}

Device::~Device() {
  // At the end of the process the driver may be gone before us, and says so: there is nothing left to release then.
  if (isOfThisProcess()) driver_.cuDevicePrimaryCtxRelease(device_);
}

std::string Device::text() const {
  return "device " + std::to_string(ordinal_) + " (" + facts_.name + ", " + facts_.pci_address + ")";
}

bool Device::isOfThisProcess() const noexcept { return fork_depth_ == forkDepth(); }

ContextScope::ContextScope(const Device& device) : driver_(device.driver()) {
  if (!device.isOfThisProcess()) throwForkedCudaError();
  checkCuda(driver_, driver_.cuCtxPushCurrent(device.context()), "cuCtxPushCurrent", "of the context of ", device);
}

ContextScope::~ContextScope() {
  CudaContext ours = nullptr;
  driver_.cuCtxPopCurrent(&ours);
}

}  // namespace signccl
