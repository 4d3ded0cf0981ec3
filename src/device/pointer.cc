// SPDX-License-Identifier: Apache-2.0
#include "device/pointer.h"

#include <array>
#include <bit>
#include <cerrno>
#include <unistd.h>

#include <sys/syscall.h>

#include "base/fork.h"
#include "device/driver_error.h"

namespace signccl {
namespace {

/// What the driver says of one address. All zero if it does not know it.
struct Answer {
  CudaContext context = nullptr;
  CudaMemoryType type = CudaMemoryType::kUnknown;
  int device = 0;
  std::uint64_t is_managed = 0;  // 32 bits are written; nobody promises that
  std::uint64_t is_mapped = 0;
  CudaDevicePointer begin = 0;
  std::size_t bytes = 0;

  [[nodiscard]] bool isKnown() const { return type != CudaMemoryType::kUnknown || is_managed != 0 || bytes != 0; }
};

/// A buffer in question, and the answers.
struct Question {
  std::uintptr_t address;
  std::size_t bytes;
  Answer first = {};           ///< of the first byte
  bool is_last_mapped = true;  ///< whether the last byte has memory, where the first has some of a device
};

/// Whether there may be addresses without memory in the range: not in one of cuMemAlloc(), which alone has a context.
bool isMappedByParts(const Answer& answer) {
  return answer.type == CudaMemoryType::kDevice && answer.is_managed == 0 && answer.context == nullptr;
}

CudaResult ask(const CudaDriver& driver, std::uintptr_t address, Answer& answer) {
  std::array attributes{CudaPointerAttribute::kContext,       CudaPointerAttribute::kMemoryType,
                        CudaPointerAttribute::kDeviceOrdinal, CudaPointerAttribute::kIsManaged,
                        CudaPointerAttribute::kMapped,        CudaPointerAttribute::kRangeStart,
                        CudaPointerAttribute::kRangeSize};
  std::array<void*, attributes.size()> values{static_cast<void*>(&answer.context),
                                              &answer.type,
                                              &answer.device,
                                              &answer.is_managed,
                                              &answer.is_mapped,
                                              &answer.begin,
                                              &answer.bytes};
  answer = {};
  return driver.cuPointerGetAttributes(attributes.size(), attributes.data(), values.data(), address);
}

/// Of a reserved range, as PyTorch's expandable segments are, only the beginning may have memory: the last byte is
/// looked at, too.
CudaResult ask(const CudaDriver& driver, Question& question) {
  const CudaResult result = ask(driver, question.address, question.first);
  if (result != CudaResult::kSuccess || !isMappedByParts(question.first)) return result;
  Answer last;
  const CudaResult of_last = ask(driver, question.address + question.bytes - 1, last);
  question.is_last_mapped = last.is_mapped != 0;
  return of_last;
}

bool hasCurrentContext(const CudaDriver& driver) {
  CudaContext current = nullptr;
  return driver.cuCtxGetCurrent(&current) == CudaResult::kSuccess && current != nullptr;
}

/// Asks in the primary context of a device, if it is active. Else it is not made: nobody has memory there.
CudaResult askInContextOf(const CudaDriver& driver, CudaDevice device, Question& question) {
  unsigned int flags = 0;
  int is_active = 0;
  CudaContext context = nullptr;
  CudaResult result = driver.cuDevicePrimaryCtxGetState(device, &flags, &is_active);
  if (result != CudaResult::kSuccess || is_active == 0) return result;
  result = driver.cuDevicePrimaryCtxRetain(&context, device);
  if (result != CudaResult::kSuccess) return result;
  result = driver.cuCtxPushCurrent(context);
  if (result == CudaResult::kSuccess) {
    result = ask(driver, question);
    driver.cuCtxPopCurrent(&context);
  }
  driver.cuDevicePrimaryCtxRelease(device);
  return result;
}

/// Asks in the contexts of all devices, until one knows the address. Fails as the first that failed, if none does.
CudaResult askInContexts(const CudaDriver& driver, Question& question) {
  int ndevices = 0;
  CudaResult failure = driver.cuDeviceGetCount(&ndevices);
  for (CudaDevice device = 0; device < ndevices; ++device) {
    const CudaResult result = askInContextOf(driver, device, question);
    if (result == CudaResult::kSuccess && question.first.isKnown()) return result;
    if (failure == CudaResult::kSuccess) failure = result;
  }
  return failure;
}

/// Without a current context the driver fails, or answers as if it knew no memory.
CudaResult askAnywhere(const CudaDriver& driver, Question& question) {
  const CudaResult result = ask(driver, question);
  if (result == CudaResult::kSuccess && question.first.isKnown()) return result;
  if (result != CudaResult::kSuccess && result != CudaResult::kInvalidContext) return result;
  return hasCurrentContext(driver) ? result : askInContexts(driver, question);
}

bool canAsk(const CudaDriver& driver) {
  return driver.cuPointerGetAttributes != nullptr && driver.cuCtxGetCurrent != nullptr &&
         driver.cuDeviceGetCount != nullptr && driver.cuDevicePrimaryCtxGetState != nullptr &&
         driver.cuDevicePrimaryCtxRetain != nullptr && driver.cuDevicePrimaryCtxRelease != nullptr &&
         driver.cuCtxPushCurrent != nullptr && driver.cuCtxPopCurrent != nullptr;
}

PointerKind kindOf(const Answer& answer) {
  if (answer.is_managed != 0) return PointerKind::kManaged;
  if (answer.type == CudaMemoryType::kHost) return PointerKind::kPinned;
  return isMappedByParts(answer) && answer.is_mapped == 0 ? PointerKind::kUnmapped : PointerKind::kDevice;
}

/// The driver failed, with `result`, or knows nothing of the pointer.
PointerFacts withoutDriver(const CudaDriver& driver, CudaResult result, const void* pointer) {
  PointerFacts facts;
  if (isReadable(pointer)) return facts;
  if (result == CudaResult::kNotInitialized && forkDepth() > 0) throwForkedCudaError();
  checkCuda(driver, result, "cuPointerGetAttributes", "of ", pointer);
  facts.kind = PointerKind::kUnknown;
  return facts;
}

}  // namespace

const char* pointerKindName(PointerKind kind) {
  switch (kind) {
    case PointerKind::kPageable:
      return "pageable host memory";
    case PointerKind::kPinned:
      return "pinned host memory";
    case PointerKind::kManaged:
      return "managed memory";
    case PointerKind::kDevice:
      return "device memory";
    case PointerKind::kUnmapped:
      return "a reserved address without memory";
    case PointerKind::kUnknown:
      return "memory that is neither CUDA's nor readable";
  }
  return "?";
}

bool PointerFacts::holds(const void* pointer, std::size_t size) const {
  if (begin == 0) return true;
  const auto address = std::bit_cast<std::uintptr_t>(pointer);
  return address >= begin && address - begin <= bytes && bytes - (address - begin) >= size;
}

PointerFacts describePointer(const void* pointer, std::size_t bytes) {
  const CudaDriver* const driver = loadedCudaDriver();
  return driver == nullptr ? PointerFacts{} : describePointer(*driver, pointer, bytes);
}

PointerFacts describePointer(const CudaDriver& driver, const void* pointer, std::size_t bytes) {
  PointerFacts facts;
  if (pointer == nullptr || bytes == 0 || !canAsk(driver)) return facts;
  Question question{std::bit_cast<std::uintptr_t>(pointer), bytes};
  const CudaResult result = askAnywhere(driver, question);
  const Answer& answer = question.first;
  if (result != CudaResult::kSuccess || !answer.isKnown()) return withoutDriver(driver, result, pointer);
  facts.kind = kindOf(answer);
  facts.device = answer.device;
  facts.begin = answer.begin;
  facts.bytes = answer.bytes;
  if (facts.kind == PointerKind::kPinned && !facts.holds(pointer, bytes)) return {};
  if (facts.kind == PointerKind::kUnmapped) facts.unmapped = question.address;
  if (facts.kind == PointerKind::kDevice && !question.is_last_mapped) facts.unmapped = question.address + bytes - 1;
  return facts;
}

bool isReadable(const void* pointer) noexcept {
  // The call reads a set of signals from the address before it finds that no such change is known, and changes nothing.
  constexpr int kNoChange = -1;
  constexpr std::size_t kSetBytes = 8;
  const auto aligned = std::bit_cast<std::uintptr_t>(pointer) & ~std::uintptr_t{kSetBytes - 1};
  const int before = errno;
  const bool is_fault = syscall(SYS_rt_sigprocmask, kNoChange, aligned, nullptr, kSetBytes) == -1 && errno == EFAULT;
  errno = before;
  // A null set is no fault for the call, since it may be left out.
  return aligned != 0 && !is_fault;
}

}  // namespace signccl
