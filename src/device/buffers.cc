// SPDX-License-Identifier: Apache-2.0
#include "device/buffers.h"

#include <bit>
#include <cstdint>
#include <sstream>

#include "base/error.h"
#include "device/driver_error.h"
#include "device/pointer.h"

namespace signccl {
namespace {

template <typename... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw Error(signcclInvalidArgument, text.str());
}

/// "sendbuff 0x7f0012345678 of 4096 bytes".
struct Named {
  const UserBuffer& buffer;

  friend std::ostream& operator<<(std::ostream& stream, const Named& named) {
    stream << named.buffer.name;
    if (named.buffer.index >= 0) stream << "[" << named.buffer.index << "]";
    return stream << " " << named.buffer.pointer << " of " << named.buffer.bytes << " bytes";
  }
};

/// "device memory of device 0".
struct Place {
  const PointerFacts& facts;

  friend std::ostream& operator<<(std::ostream& stream, const Place& place) {
    stream << pointerKindName(place.facts.kind);
    if (place.facts.kind == PointerKind::kDevice) stream << " of device " << place.facts.device;
    return stream;
  }
};

void* atAddress(std::uintptr_t address) { return std::bit_cast<void*>(address); }

void checkKind(const UserBuffer& buffer, const PointerFacts& facts) {
  switch (facts.kind) {
    case PointerKind::kPageable:
    case PointerKind::kPinned:
    case PointerKind::kDevice:
      return;
    case PointerKind::kManaged:
      refuse(Named{buffer}, " is managed memory of device ", facts.device,
             ", whose pages would move with every exchange; expected memory of cudaMalloc() or of the host");
    case PointerKind::kUnmapped:
      refuse(Named{buffer}, " is an address that is reserved for device ", facts.device,
             " and has no memory; expected memory that is mapped");
    case PointerKind::kUnknown:
      refuse(Named{buffer},
             " is neither memory that CUDA knows nor host memory of this process; expected a buffer that "
             "is not freed yet");
  }
}

void checkDeviceRange(const UserBuffer& buffer, const PointerFacts& facts) {
  const auto address = std::bit_cast<std::uintptr_t>(buffer.pointer);
  if (!facts.holds(buffer.pointer, buffer.bytes)) {
    refuse(Named{buffer}, " is device memory of device ", facts.device, " of which only ",
           facts.begin + facts.bytes - address, " bytes belong to its allocation (", facts.bytes, " bytes at ",
           atAddress(facts.begin), "); expected an allocation that holds all of it");
  }
  if (facts.unmapped != 0) {
    refuse(Named{buffer}, " is device memory of device ", facts.device, " that ends before ", atAddress(facts.unmapped),
           ", which is reserved and has no memory; expected memory that is mapped");
  }
  if (address % buffer.element_bytes != 0) {
    refuse(Named{buffer}, " is a misaligned device pointer of device ", facts.device, "; expected a multiple of ",
           buffer.element_bytes, ", the size of an element, as a tensor's data pointer is");
  }
}

int deviceOfContext(const CudaDriver& driver, CudaContext context, CudaStream stream) {
  checkCuda(driver, driver.cuCtxPushCurrent(context), "cuCtxPushCurrent", "of the context of stream ", stream);
  CudaDevice owner = -1;
  const CudaResult result = driver.cuCtxGetDevice(&owner);
  driver.cuCtxPopCurrent(&context);
  checkCuda(driver, result, "cuCtxGetDevice", "of stream ", stream);
  return owner;
}

}  // namespace

int deviceOfBuffers(std::span<const UserBuffer> buffers) {
  const CudaDriver* const driver = loadedCudaDriver();
  if (driver == nullptr) return kHostBuffers;
  const UserBuffer* on_device = nullptr;
  const UserBuffer* pageable = nullptr;
  PointerFacts device;
  for (const UserBuffer& buffer : buffers) {
    if (buffer.bytes == 0) continue;
    const PointerFacts facts = describePointer(*driver, buffer.pointer, buffer.bytes);
    checkKind(buffer, facts);
    if (facts.kind == PointerKind::kPageable) pageable = &buffer;
    if (facts.kind != PointerKind::kDevice) continue;
    checkDeviceRange(buffer, facts);
    if (on_device != nullptr && device.device != facts.device) {
      refuse(Named{*on_device}, " is ", Place{device}, ", and ", Named{buffer}, " is ", Place{facts},
             "; expected all buffers of a call on one device");
    }
    on_device = &buffer;
    device = facts;
  }
  if (on_device != nullptr && pageable != nullptr) {
    refuse(Named{*on_device}, " is ", Place{device}, ", and ", Named{*pageable}, " is pageable host memory; expected ",
           "all buffers of a call on the device, or in memory of cudaMallocHost()");
  }
  return on_device == nullptr ? kHostBuffers : device.device;
}

int deviceOfStream(CudaStream stream) {
  const CudaDriver& driver = requiredCudaDriver("stream");
  CudaContext context = nullptr;
  checkCuda(driver, driver.cuStreamGetCtx(stream, &context), "cuStreamGetCtx", "of stream ", stream);
  return deviceOfContext(driver, context, stream);
}

void checkStream(const Device& device, CudaStream stream) {
  const ContextScope scope(device);
  const CudaDriver& driver = device.driver();
  CudaContext context = nullptr;
  checkCuda(driver, driver.cuStreamGetCtx(stream, &context), "cuStreamGetCtx", "of stream ", stream, " for ", device);
  if (context == device.context()) return;
  const int owner = deviceOfContext(driver, context, stream);
  if (owner != device.ordinal()) {
    refuse("stream ", stream, " belongs to device ", owner, ", and the buffers are on ", device,
           "; expected a stream of the buffers' device");
  }
  refuse("stream ", stream, " belongs to a context of its own on ", device,
         "; expected one of the primary context, as those of the CUDA runtime and of PyTorch are");
}

}  // namespace signccl
