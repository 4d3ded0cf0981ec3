// SPDX-License-Identifier: Apache-2.0
// How a UcxTransport ends: what is to leave leaves, and what UCX still uses stays. Nothing is allocated.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <unistd.h>

#include "base/log.h"
#include "transport/ucx/ucx_transport.h"

namespace signccl {
namespace {

using std::chrono::steady_clock;

/// How long the end may wait for messages to leave, and for transfers that were cancelled to say so.
constexpr std::chrono::milliseconds kFlushTime{1000};
/// How long it waits after a failure among ranks that may still be connecting.
constexpr std::chrono::milliseconds kAnswerTime{20};

}  // namespace

/// True if `done()` held in time.
template <typename Done>
bool UcxTransport::progressUntil(const Done& done, std::chrono::milliseconds longest) noexcept {
  const auto deadline = steady_clock::now() + longest;
  while (!done() && steady_clock::now() < deadline) {
    if (ucx_.ucp_worker_progress(worker_) == 0) usleep(50);
  }
  return done();
}

/// Whether an operation of UCX is over; it is then freed.
bool UcxTransport::isOver(void*& operation) noexcept {
  if (operation == nullptr) return true;
  if (ucx_.ucp_request_check_status(operation) == UCS_INPROGRESS) return false;
  ucx_.ucp_request_free(operation);
  operation = nullptr;
  return true;
}

void UcxTransport::flushAtEnd() noexcept {
  const auto is_over = [this] { return isOver(flush_); };
  if (!progressUntil(is_over, kFlushTime)) return;
  const ucp_request_param_t param{};
  const ucs_status_ptr_t flush = ucx_.ucp_worker_flush_nbx(worker_, &param);
  if (UCS_PTR_IS_PTR(flush)) flush_ = flush;
  progressUntil(is_over, kFlushTime);
}

/// UCX 1.13 ends the process if an endpoint is closed, or a worker destroyed, whose answer to a peer that connects
/// waits for its socket. After a failure no flush can say when it has left, since that may never end.
void UcxTransport::letAnswersLeave() noexcept {
  progressUntil([] { return false; }, kAnswerTime);
}

void UcxTransport::closeEndpoints() noexcept {
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_EP_CLOSE_FLAG_FORCE;
  for (Peer& peer : peers_) {
    if (peer.endpoint == nullptr) continue;
    const ucs_status_ptr_t operation = ucx_.ucp_ep_close_nbx(peer.endpoint, &param);
    if (UCS_PTR_IS_PTR(operation)) peer.closing = operation;
  }
}

void UcxTransport::close() noexcept {
  closing_ = true;
  const bool failed = !in_use_->kept.empty() || broken_since_.has_value() || out_of_memory_;
  if (!failed) flushAtEnd();
  const bool may_be_connecting = failed && !is_settled_ && !out_of_memory_;
  // The memory of transfers may be gone, so that UCX must not go on with them before their endpoints are closed.
  const bool is_idle = under_way_ == 0;
  if (may_be_connecting && is_idle) letAnswersLeave();
  for (void* const data : held_) ucx_.ucp_am_data_release(worker_, data);
  for (const Arrival& arrival : arrivals_) drop(arrival);
  matcher_.forEachArrival([this](const Arrival& arrival) { drop(arrival); });
  closeEndpoints();
  const auto are_closed = [this] {
    return isOver(flush_) && std::ranges::all_of(peers_, [this](Peer& peer) { return isOver(peer.closing); });
  };
  if (progressUntil([&] { return are_closed() && under_way_ == 0; }, kFlushTime)) {
    if (may_be_connecting && !is_idle) letAnswersLeave();
    return;
  }
  // UCX ends the process if a worker with transfers under way is destroyed, and the transfers may still read our
  // memory, so both stay.
  char text[80];  // log() would allocate
  std::snprintf(text, sizeof text, "%d transfers did not end; their memory is not freed", under_way_);
  logMessage(LogLevel::kWarn, Subsystem::kNet, rank_, text);
  [[maybe_unused]] const InUse* const left_behind = in_use_.release();
}

}  // namespace signccl
