// SPDX-License-Identifier: Apache-2.0
// The UCX library as SignCCL sets it up: one context for each process and choice of devices.
#ifndef SIGNCCL_TRANSPORT_UCX_UCX_CONTEXT_H_
#define SIGNCCL_TRANSPORT_UCX_UCX_CONTEXT_H_

#include <memory>
#include <string>

#include "transport/ucx/ucx_library.h"

namespace signccl {

/// Owns a ucp_context_h. Thread-safe: its workers may be used by different threads.
class UcxContext {
 public:
  /// The context of this process that uses `net_devices`, a list as in UCX_NET_DEVICES; empty: as UCX chooses. Made at
  /// the first call and again after the last user is gone. UCX_* variables of the user win over our settings. The first
  /// call of a process loads UCX; see loadUcx(), also for `ucx_library`. A forked child has none of its parent's
  /// contexts, and may make its own if the parent had none when it forked. Throws Error: signcclInvalidUsage in a child
  /// that may not.
  static std::shared_ptr<UcxContext> open(const std::string& net_devices, const std::string& ucx_library = {});

  /// `library` outlives the context.
  UcxContext(const UcxLibrary& library, const std::string& net_devices);
  ~UcxContext();
  UcxContext(const UcxContext&) = delete;
  UcxContext& operator=(const UcxContext&) = delete;

  [[nodiscard]] ucp_context_h get() const { return context_; }
  [[nodiscard]] const UcxLibrary& library() const { return library_; }
  [[nodiscard]] const UcxFunctions& ucx() const { return library_.functions; }

  /// Notes that UCX is in use: while it is loaded, and from before a context is made until after it is gone. A child
  /// that is forked meanwhile may find locks of UCX taken forever. Throws signcclInvalidUsage in such a child.
  struct Use {
    Use();
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
  };

 private:
  const Use use_;
  const UcxLibrary& library_;
  ucp_context_h context_ = nullptr;
};

/// The UCX of this process, which the first call loads: see loadUcx(). It is never unloaded. Throws Error.
const UcxLibrary& ucxLibrary(const std::string& ucx_library = {});

}  // namespace signccl

#endif  // SIGNCCL_TRANSPORT_UCX_UCX_CONTEXT_H_
