// SPDX-License-Identifier: Apache-2.0
#include "fake_cuda/memory.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include <sys/mman.h>

namespace fake_cuda {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kAlignment = 512;  ///< of device memory
constexpr int kPattern = 0xA5;           ///< of memory that nobody has written yet
constexpr std::size_t kMostFilled = std::size_t{1} << 20;

int window_file = -1;
int window_process = 0;  ///< whose memory it is
constexpr std::size_t kWindowBytes = kMostDevices * kAddressesPerDevice;

std::size_t roundedUp(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }

void* pointerTo(std::uintptr_t address) { return std::bit_cast<void*>(address); }

[[noreturn]] void giveUp(const char* what) {
  std::perror(what);
  std::abort();
}

/// A file that takes memory as far as it is written.
int windowFile() {
  const int file = memfd_create("fake_cuda", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, static_cast<off_t>(kWindowBytes)) != 0) giveUp("fake CUDA: memory file");
  return file;
}

/// Maps the file, at an address or, if that is 0, anywhere.
std::uintptr_t mapFile(std::uintptr_t at) {
  const int flags = MAP_SHARED | MAP_NORESERVE | (at == 0 ? 0 : MAP_FIXED);
  void* const address = mmap(pointerTo(at), kWindowBytes, PROT_NONE, flags, window_file, 0);
  if (address == MAP_FAILED) giveUp("fake CUDA: mmap");
  return std::bit_cast<std::uintptr_t>(address);
}

}  // namespace

Window FakeMemory::window;

void Memory::mapWindow() {
  window_file = windowFile();
  window_process = getpid();
  const std::uintptr_t begin = mapFile(0);
  FakeMemory::window = {begin, kWindowBytes, mapFile(0) - begin};
}

void Memory::ownWindow() {
  if (window_process == getpid()) return;
  close(window_file);
  window_file = windowFile();
  window_process = getpid();
  mapFile(FakeMemory::window.begin);
  mapFile(FakeMemory::window.begin + FakeMemory::window.offset);
}

bool Memory::isOfDevice(std::uintptr_t address) {
  return address - FakeMemory::window.begin < FakeMemory::window.bytes;
}

Memory::Memory() {
  for (int device = 0; device < kMostDevices; ++device) {
    next_[device] = FakeMemory::window.begin + static_cast<std::size_t>(device) * kAddressesPerDevice;
  }
}

Memory::~Memory() {
  for (const auto& [begin, allocation] : allocations_) release(allocation);
}

/// Pages for `bytes` bytes and one more, which nothing may touch. Addresses are used again as late as possible, so that
/// freed memory stays unknown.
std::uintptr_t Memory::freeAddresses(int device, std::size_t bytes) {
  const std::uintptr_t first = FakeMemory::window.begin + static_cast<std::size_t>(device) * kAddressesPerDevice;
  const std::uintptr_t end = first + kAddressesPerDevice;
  const auto search = [&](std::uintptr_t from) -> std::uintptr_t {
    auto after = allocations_.lower_bound(from);
    while (from + bytes + kPage <= end) {
      if (after == allocations_.end() || from + bytes + kPage <= after->first / kPage * kPage) return from;
      from = std::max(from, roundedUp(after->first + after->second.bytes, kPage) + kPage);
      ++after;
    }
    return 0;
  };
  const std::uintptr_t found = search(next_[device]);
  return found != 0 ? found : search(first);
}

std::uintptr_t Memory::takeOfDevice(Allocation what) {
  const std::lock_guard lock(mutex_);
  const std::size_t bytes = roundedUp(std::max<std::size_t>(what.bytes, 1), kPage);
  const std::uintptr_t pages = freeAddresses(what.device, bytes);
  if (pages == 0) return 0;
  next_[what.device] = pages + bytes + kPage;
  // At the end of its pages, so that what lies behind it is not touched unnoticed; reserved addresses from a page on.
  what.begin = what.kind == MemoryKind::kReserved ? pages : pages + bytes - roundedUp(what.bytes, kAlignment);
  void* const memory = pointerTo(pages + FakeMemory::window.offset);
  const std::size_t mapped = what.kind == MemoryKind::kReserved ? roundedUp(what.mapped, kPage) : bytes;
  if (mprotect(memory, mapped, PROT_READ | PROT_WRITE) != 0) giveUp("fake CUDA: mprotect");
  std::memset(memory, kPattern, std::min(mapped, kMostFilled));
  allocations_.emplace(what.begin, what);
  return what.begin;
}

std::uintptr_t Memory::takeOfHost(Allocation what) {
  void* const memory = mmap(nullptr, roundedUp(what.bytes, kPage), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return 0;
  std::memset(memory, kPattern, std::min(what.bytes, kMostFilled));
  what.begin = std::bit_cast<std::uintptr_t>(memory);
  const std::lock_guard lock(mutex_);
  allocations_.emplace(what.begin, what);
  return what.begin;
}

bool Memory::registerHost(Allocation what) {
  const std::lock_guard lock(mutex_);
  const auto after = allocations_.lower_bound(what.begin);
  if (after != allocations_.end() && after->first < what.begin + what.bytes) return false;
  if (after != allocations_.begin()) {
    const Allocation& before = std::prev(after)->second;
    if (before.begin + before.bytes > what.begin) return false;
  }
  allocations_.emplace(what.begin, what);
  return true;
}

void Memory::release(const Allocation& allocation) {
  if (allocation.isOnDevice()) {
    const std::uintptr_t first = allocation.begin / kPage * kPage;
    const std::size_t bytes = roundedUp(allocation.begin + allocation.bytes, kPage) - first;
    mprotect(pointerTo(first + FakeMemory::window.offset), bytes, PROT_NONE);
    fallocate(window_file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
              static_cast<off_t>(first - FakeMemory::window.begin), static_cast<off_t>(bytes));
  } else if (allocation.kind != MemoryKind::kRegistered) {
    munmap(pointerTo(allocation.begin), roundedUp(allocation.bytes, kPage));
  }
}

bool Memory::give(std::uintptr_t address, std::initializer_list<MemoryKind> kinds) {
  const std::lock_guard lock(mutex_);
  const auto found = allocations_.find(address);
  if (found == allocations_.end() || std::ranges::find(kinds, found->second.kind) == kinds.end()) return false;
  release(found->second);
  allocations_.erase(found);
  return true;
}

void Memory::giveAllOf(const CUctx_st* context) {
  const std::lock_guard lock(mutex_);
  std::erase_if(allocations_, [&](const auto& entry) {
    if (entry.second.context != context) return false;
    release(entry.second);
    return true;
  });
}

std::optional<Allocation> Memory::find(std::uintptr_t address) const {
  const std::lock_guard lock(mutex_);
  auto after = allocations_.upper_bound(address);
  if (after == allocations_.begin()) return std::nullopt;
  const Allocation& allocation = (--after)->second;
  if (address - allocation.begin >= allocation.bytes) return std::nullopt;
  return allocation;
}

std::size_t Memory::used(int device) const {
  const std::lock_guard lock(mutex_);
  std::size_t bytes = 0;
  for (const auto& [begin, allocation] : allocations_) {
    if (allocation.isOnDevice() && allocation.device == device) bytes += allocation.mapped;
  }
  return bytes;
}

}  // namespace fake_cuda
