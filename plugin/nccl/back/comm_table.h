// SPDX-License-Identifier: Apache-2.0
// The communicators of NCCL that are known, by their handles, which stay NCCL's own.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_COMM_TABLE_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_COMM_TABLE_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "nccl/back/mirror.h"
#include "nccl/back/nccl_abi.h"

namespace signccl::nccl_preload {

/// Any thread. Its lock is held for look-ups alone.
class CommTable {
 public:
  /// A record for this handle, made if there is none.
  std::shared_ptr<Record> get(Comm comm);

  /// The record, or null.
  [[nodiscard]] std::shared_ptr<Record> find(Comm comm) const;

  [[nodiscard]] std::vector<std::shared_ptr<Record>> all() const;

  /// Takes the record out, or null. To be called before NCCL frees the communicator: the address is used again at once.
  std::shared_ptr<Record> take(Comm comm);

  /// A communicator with this name is being made. In a group, and if it does not block, NCCL writes the handle later,
  /// so it is read from `handle` when a communicator is first used. An empty name is not noted.
  void expect(const Comm* handle, const std::string& name);

  /// NCCL has written the handle: it is read now, since the caller's variable may be gone when it is first used.
  void settle(const Comm* handle);

 private:
  struct Expected {
    const Comm* handle;
    std::string name;
  };

  std::string takeNameOf(Comm comm);

  mutable std::mutex mutex_;
  std::map<Comm, std::shared_ptr<Record>> records_;
  std::vector<Expected> expected_;
};

/// The name in a configuration, which may be null, or of a version that has none; else empty.
std::string nameIn(const Config* config);

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_COMM_TABLE_H_
