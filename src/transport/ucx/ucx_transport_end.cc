// How a UcxTransport ends: what is to leave leaves, and what UCX still uses stays.
#include <chrono>
#include <memory>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/log.h"
#include "transport/ucx/ucx_transport.h"

namespace signccl {
namespace {

using std::chrono::steady_clock;

/// How long the end may wait for messages to leave, and for transfers that were cancelled to say so.
constexpr std::chrono::milliseconds kFlushTime{1000};

}  // namespace

void UcxTransport::close() noexcept {
  closing_ = true;
  const auto progress_until = [this](const auto& done) {
    const auto deadline = steady_clock::now() + kFlushTime;
    while (!done() && steady_clock::now() < deadline) {
      if (ucp_worker_progress(worker_) == 0) usleep(50);
    }
    return done();
  };
  const bool failed = !kept_.empty() || broken_since_.has_value();
  ucp_request_param_t param{};
  std::vector<void*> closing;  // operations of UCX that the end waits for
  const auto are_closed = [&closing] {
    std::erase_if(closing, [](void* operation) {
      if (ucp_request_check_status(operation) == UCS_INPROGRESS) return false;
      ucp_request_free(operation);
      return true;
    });
    return closing.empty();
  };
  if (!failed) {
    const ucs_status_ptr_t flush = ucp_worker_flush_nbx(worker_, &param);
    if (UCS_PTR_IS_PTR(flush)) closing.push_back(flush);
    progress_until(are_closed);
  }
  if (flush_ != nullptr) closing.push_back(flush_);
  for (void* const data : held_) ucp_am_data_release(worker_, data);
  for (const std::vector<Arrival>* const list : {&arrivals_, &unexpected_}) {
    for (const Arrival& arrival : *list) drop(arrival);
  }
  param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_EP_CLOSE_FLAG_FORCE;
  for (Peer& peer : peers_) {
    if (peer.endpoint == nullptr) continue;
    const ucs_status_ptr_t operation = ucp_ep_close_nbx(peer.endpoint, &param);
    if (UCS_PTR_IS_PTR(operation)) closing.push_back(operation);
  }
  const bool quiet = progress_until([&] { return are_closed() && under_way_ == 0; });
  if (quiet) {
    ucp_worker_destroy(worker_);
    return;
  }
  // UCX ends the process if a worker with transfers under way is destroyed, and the transfers may still read our
  // memory, so both stay.
  log(LogLevel::kWarn, Subsystem::kNet, rank_, under_way_, " transfers did not end; their memory is not freed");
  // NOLINTBEGIN(bugprone-unhandled-exception-at-new): running out of memory here may end the program
  new auto(std::move(context_));
  new auto(std::move(kept_));
  new auto(std::move(transfers_));
  // NOLINTEND(bugprone-unhandled-exception-at-new)
}

}  // namespace signccl
