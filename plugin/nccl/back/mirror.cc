// SPDX-License-Identifier: Apache-2.0
#include "nccl/back/mirror.h"

#include <utility>

#include "nccl/back/background_comparison.h"
#include "nccl/back/device_memory.h"

namespace signccl::nccl_preload {

Mirror::Mirror(signcclComm_t comm, int rank, int nranks) : comm_(comm), rank_(rank), nranks_(nranks) {}

Mirror::~Mirror() {
  // Waits for calls under way, as the end of the communicator does. The bytes of one that has failed are not known.
  if (signcclCommFinalize(comm_) == signcclSuccess) countSentBytes();
  signcclCommDestroy(comm_);
}

void* Mirror::scratch(int device, std::size_t bytes) {
  if (!scratch_ || scratch_->bytes() < bytes) {
    scratch_.reset();  // first, so that there is no need for both
    scratch_ = std::make_unique<DeviceMemory>(device, bytes);
  }
  return scratch_->pointer();
}

void Mirror::beginCalls(std::size_t rule_index) {
  countSentBytes();
  const std::lock_guard lock(counting_mutex_);
  rule_index_ = rule_index;
}

void Mirror::countSentBytes() {
  const std::lock_guard lock(counting_mutex_);
  if (!rule_index_ || !on_sent_) return;
  signcclResult_t state = signcclSuccess;
  if (signcclCommGetAsyncError(comm_, &state) != signcclSuccess || state != signcclSuccess) return;
  signcclCommStats_t stats{};
  stats.size = sizeof(stats);
  if (signcclCommGetStats(comm_, &stats) != signcclSuccess) return;
  on_sent_(*rule_index_, stats.bytesSent - std::exchange(sent_bytes_, stats.bytesSent));
}

Record::Record() = default;

Record::~Record() {
  is_aborted_ = true;
  endComparison();
}

void Record::setComparison(std::unique_ptr<BackgroundComparison> comparison) {
  const std::lock_guard lock(mutex_);
  comparison_ = std::move(comparison);
}

bool Record::isComparing() const {
  const std::lock_guard lock(mutex_);
  return comparison_ && comparison_->state() == BackgroundComparison::State::kUnderWay;
}

bool Record::isLeftWaiting() const {
  const std::lock_guard lock(mutex_);
  return comparison_ && comparison_->isLeftWaiting();
}

void Record::endComparison() {
  std::unique_ptr<BackgroundComparison> ended;
  const std::lock_guard lock(mutex_);
  ended = std::move(comparison_);
}

std::shared_ptr<Mirror> Record::mirror() const {
  const std::lock_guard lock(mutex_);
  return mirror_;
}

void Record::setMirror(const std::shared_ptr<Mirror>& mirror) {
  const signcclComm_t comm = mirror->get();
  {
    const std::lock_guard lock(mutex_);
    mirror_ = mirror;
  }
  if (isAborted()) signcclCommAbort(comm);
}

void Record::abort() {
  is_closed_ = true;
  is_aborted_ = true;
  const std::shared_ptr<Mirror> stopped = mirror();
  if (stopped) signcclCommAbort(stopped->get());
}

void Record::fail(const Failure& failure) {
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = failure;
}

std::optional<Failure> Record::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

Result Record::asyncError() const {
  if (const auto failed = failure()) return failed->result();
  const std::shared_ptr<Mirror> asked = mirror();
  signcclResult_t state = signcclSuccess;
  if (asked && signcclCommGetAsyncError(asked->get(), &state) != signcclSuccess) return Result::kInternalError;
  // Work on streams is no state that NCCL's users know: a communicator of NCCL has success while its kernels run.
  return state == signcclInProgress ? Result::kSuccess : resultOf(state);
}

}  // namespace signccl::nccl_preload
