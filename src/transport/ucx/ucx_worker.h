// SPDX-License-Identifier: Apache-2.0
// A worker of UCX, and how a thread sleeps until there is something for it to do.
#ifndef SIGNCCL_TRANSPORT_UCX_UCX_WORKER_H_
#define SIGNCCL_TRANSPORT_UCX_UCX_WORKER_H_

#include <chrono>
#include <memory>
#include <span>
#include <string>

#include "transport/ucx/ucx_context.h"

namespace signccl {

/// Owns a ucp_worker_h, which one thread uses at a time. UCX ends the process if it is destroyed with transfers under
/// way.
class UcxWorker {
 public:
  /// Throws Error.
  explicit UcxWorker(std::shared_ptr<UcxContext> context);
  ~UcxWorker();
  UcxWorker(const UcxWorker&) = delete;
  UcxWorker& operator=(const UcxWorker&) = delete;

  [[nodiscard]] ucp_worker_h get() const { return worker_; }
  [[nodiscard]] const UcxFunctions& ucx() const { return context_->ucx(); }
  /// Version of UCX, e.g. "1.13.1".
  [[nodiscard]] const std::string& version() const { return context_->library().version; }
  /// What peers pass to ucp_ep_create().
  [[nodiscard]] std::string address() const;

  /// Has `handler(argument, ...)` called for active messages with this id, by ucp_worker_progress().
  void setHandler(unsigned id, ucp_am_recv_callback_t handler, void* argument);

  /// True if what happens from now on ends a sleep(); false if there is something to progress already.
  bool arm();

  /// Blocks until one of the workers, all armed and at least one, has something to do, wake() of the first is called,
  /// or `longest` has passed.
  static void sleep(std::span<UcxWorker* const> workers, std::chrono::microseconds longest);

  /// Ends a sleep() under way, or the next one. From any thread.
  void wake() noexcept;

 private:
  void create();

  std::shared_ptr<UcxContext> context_;
  ucp_worker_h worker_ = nullptr;
  int event_fd_ = -1;  ///< of UCX: readable when there is something to progress
  int wake_fd_ = -1;   ///< an eventfd, for wake()
};

}  // namespace signccl

#endif  // SIGNCCL_TRANSPORT_UCX_UCX_WORKER_H_
