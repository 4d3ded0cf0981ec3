// SPDX-License-Identifier: Apache-2.0
#include "nccl/back/comm_table.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <unistd.h>
#include <utility>

#include <sys/uio.h>

namespace signccl::nccl_preload {
namespace {

constexpr std::size_t kMostExpected = 1024;
constexpr std::size_t kMostNameBytes = 255;

/// What a caller's handle holds now; null if the caller has given its memory back.
Comm valueAt(const Comm* handle) {
  Comm value = nullptr;
  // Reading it would fault where nothing is mapped there any more; the kernel says so instead.
  constexpr std::size_t kBytes = sizeof(void*);
  iovec own{static_cast<void*>(&value), kBytes};
  iovec from{static_cast<void*>(const_cast<Comm*>(handle)), kBytes};
  const ssize_t bytes = process_vm_readv(getpid(), &own, 1, &from, 1, 0);
  return bytes == static_cast<ssize_t>(kBytes) ? value : nullptr;
}

}  // namespace

std::shared_ptr<Record> CommTable::get(Comm comm) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Record>& record = records_[comm];
  if (!record) {
    record = std::make_shared<Record>();
    record->name = takeNameOf(comm);
  }
  return record;
}

std::shared_ptr<Record> CommTable::find(Comm comm) const {
  const std::lock_guard lock(mutex_);
  const auto found = records_.find(comm);
  return found == records_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<Record>> CommTable::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Record>> records;
  for (const auto& [comm, record] : records_) records.push_back(record);
  return records;
}

std::shared_ptr<Record> CommTable::take(Comm comm) {
  const std::lock_guard lock(mutex_);
  takeNameOf(comm);
  const auto found = records_.find(comm);
  if (found == records_.end()) return nullptr;
  std::shared_ptr<Record> record = std::move(found->second);
  records_.erase(found);
  return record;
}

void CommTable::expect(const Comm* handle, const std::string& name) {
  const std::lock_guard lock(mutex_);
  // The variable is used again for another communicator, or the oldest was never made.
  std::erase_if(expected_, [&](const Expected& one) { return one.handle == handle; });
  if (expected_.size() >= kMostExpected) expected_.erase(expected_.begin());
  if (!name.empty()) expected_.push_back({handle, name});
}

void CommTable::settle(const Comm* handle) {
  const Comm comm = valueAt(handle);
  if (comm != nullptr) (void)get(comm);
}

std::string CommTable::takeNameOf(Comm comm) {
  const auto found =
      std::find_if(expected_.begin(), expected_.end(), [&](const auto& one) { return valueAt(one.handle) == comm; });
  if (found == expected_.end()) return {};
  std::string name = std::move(found->name);
  expected_.erase(found);
  return name;
}

std::string nameIn(const Config* config) {
  if (config == nullptr || config->magic != kMagic) return {};
  if (config->size < offsetof(Config, comm_name) + sizeof(void*)) return {};
  if (config->comm_name == nullptr) return {};
  return {config->comm_name, strnlen(config->comm_name, kMostNameBytes)};
}

}  // namespace signccl::nccl_preload
