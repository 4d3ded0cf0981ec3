// SPDX-License-Identifier: Apache-2.0
#include "transport/ucx/ucx_worker.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <poll.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <sys/eventfd.h>

#include "base/descriptors.h"
#include "base/error.h"
#include "base/per_thread.h"
#include "transport/ucx/ucx_environment.h"

namespace signccl {
UcxWorker::UcxWorker(std::shared_ptr<UcxContext> context)
    : context_(std::move(context)), wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (wake_fd_ < 0) throw Error(signcclSystemError, std::string("no eventfd: ") + std::strerror(errno));
  try {
    create();
  } catch (...) {
    if (worker_ != nullptr) ucx().ucp_worker_destroy(worker_);
    close(wake_fd_);
    throw;
  }
}

void UcxWorker::create() {
  requireDescriptors(kUcxDescriptors);
  ucp_worker_params_t params{};
  params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE | UCP_WORKER_PARAM_FIELD_AM_ALIGNMENT;
  params.thread_mode = UCS_THREAD_MODE_SERIALIZED;
  params.am_alignment = alignof(std::uint64_t);
  const ucs_status_t status = ucx().ucp_worker_create(context_->get(), &params, &worker_);
  if (status != UCS_OK) checkUcx(ucx(), status, "ucp_worker_create", lackOfSharedMemory());
  checkUcx(ucx(), ucx().ucp_worker_get_efd(worker_, &event_fd_), "ucp_worker_get_efd");
}

UcxWorker::~UcxWorker() {
  ucx().ucp_worker_destroy(worker_);
  close(wake_fd_);
}

std::string UcxWorker::address() const {
  ucp_worker_attr_t attributes{};
  attributes.field_mask = UCP_WORKER_ATTR_FIELD_ADDRESS;
  checkUcx(ucx(), ucx().ucp_worker_query(worker_, &attributes), "ucp_worker_query");
  std::string address(reinterpret_cast<const char*>(attributes.address), attributes.address_length);
  ucx().ucp_worker_release_address(worker_, attributes.address);
  return address;
}

void UcxWorker::setHandler(unsigned id, ucp_am_recv_callback_t handler, void* argument) {
  ucp_am_handler_param_t params{};
  params.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG |
                      UCP_AM_HANDLER_PARAM_FIELD_FLAGS;
  params.id = id;
  params.flags = UCP_AM_FLAG_WHOLE_MSG;
  params.cb = handler;
  params.arg = argument;
  checkUcx(ucx(), ucx().ucp_worker_set_am_recv_handler(worker_, &params), "ucp_worker_set_am_recv_handler");
}

bool UcxWorker::arm() { return ucx().ucp_worker_arm(worker_) == UCS_OK; }

void UcxWorker::sleep(std::span<UcxWorker* const> workers, std::chrono::microseconds longest) {
  auto& events = PerThread<std::vector<pollfd>, struct Events>::get();  // keeps its room from call to call
  events.clear();
  for (const UcxWorker* const worker : workers) events.push_back({worker->event_fd_, POLLIN, 0});
  events.push_back({workers.front()->wake_fd_, POLLIN, 0});
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(longest);
  const timespec timeout{seconds.count(), std::chrono::nanoseconds(longest - seconds).count()};
  ppoll(events.data(), events.size(), &timeout, nullptr);
  std::uint64_t wakes = 0;
  if ((events.back().revents & POLLIN) != 0) [[maybe_unused]]
    const ssize_t got = read(events.back().fd, &wakes, sizeof wakes);
}

void UcxWorker::wake() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof one);
}

}  // namespace signccl
