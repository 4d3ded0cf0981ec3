// SPDX-License-Identifier: Apache-2.0
#include "lion/stream_lion.h"

#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "device/capture.h"
#include "device/driver_error.h"

namespace signccl {
namespace {

/// Frees what Lion objects before have left, and makes an event.
CudaEvent makeEvent(StreamDevice& device) {
  device.freeUnused();
  const ContextScope scope(*device.device());
  const CudaDriver& driver = device.device()->driver();
  CudaEvent event = nullptr;
  checkCuda(driver, driver.cuEventCreate(&event, kCudaEventDisableTiming), "cuEventCreate", "on ", *device.device());
  return event;
}

}  // namespace

StreamLion::StreamLion(LionOptions options, Communicator& comm, StreamRank& streams)
    : options_(std::move(options)),
      tensors_(options_),
      comm_(comm),
      streams_(streams),
      kernels_(streams.device(), tensors_.all(), options_),
      last_use_(makeEvent(*streams.device())) {}

StreamLion::~StreamLion() {
  try {
    std::vector<std::shared_ptr<const void>> memory = kernels_.memory();
    std::erase(memory, nullptr);
    streams_.device()->keepUntil({last_use_}, std::move(memory));
  } catch (const std::exception& error) {
    log(LogLevel::kWarn, Subsystem::kDestroy, comm_.rank(), "what a Lion object had on ", *streams_.device()->device(),
        " may not be freed: ", error.what());
  }
}

void StreamLion::begin(const StreamLionStep& step) {
  if (is_under_way_) throw Error(signcclInvalidUsage, "a Lion step is under way: it ends with signcclLionFinish()");
  SIGNCCL_ASSERT(step.groups.size() == options_.ngroups);
  refuseCapture(step.stream);
  tensors_.setHyperparameters(step.groups);
  for (StepTensor& tensor : tensors_.all()) tensor.is_submitted = false;
  step_ = step;
  step_.groups = {};
  call_ = comm_.takeCallNumber();
  kernels_.beginStep(step.groups, step.inputs, step.skips, roundingKey(options_.rounding_seed, call_));
  error_ = nullptr;
  is_under_way_ = true;
}

void StreamLion::checkUnderWay() const {
  if (!is_under_way_) throw Error(signcclInvalidUsage, "no Lion step is under way: signcclLionBegin() begins one");
}

/// A graph would make the step with the same number again and again.
void StreamLion::refuseCapture(CudaStream stream) const {
  const Device& device = *streams_.device()->device();
  const ContextScope scope(device);
  signccl::refuseCapture(device, stream, "Lion steps");
}

void StreamLion::submit(std::size_t first, std::span<const void* const> gradients) {
  checkUnderWay();
  tensors_.checkNotSubmitted(first, gradients.size());
  if (gradients.empty()) return;
  if (error_) std::rethrow_exception(error_);
  try {
    refuseCapture(step_.stream);
    tensors_.segmentsOf(first, gradients.size(), call_, segments_);
    kernels_.setGradients(first, gradients);
    calls_.reserve(calls_.size() + 1);
    const StreamStep step{kernels_, static_cast<std::int64_t>(first), kernels_.veto()};
    calls_.push_back(streams_.enqueueFront(options_.rules, segments_, step_.stream, &step));
  } catch (...) {
    note(std::current_exception());
    throw;
  }
  for (StepTensor& tensor : tensors_.all().subspan(first, gradients.size())) tensor.is_submitted = true;
}

/// Notes the first error of the step. The other ranks wait for the votes of this one, which are not coming.
void StreamLion::note(const std::exception_ptr& error) noexcept {
  if (!error_) error_ = error;
  failForCuda(comm_, error);
}

void StreamLion::finish() {
  checkUnderWay();
  is_under_way_ = false;
  for (StreamCall& call : calls_) {
    attempt([&] { streams_.enqueueBack(call); });
  }
  if (!error_) attempt([this] { tellSkipped(); });
  record();
  calls_.clear();
  if (error_) std::rethrow_exception(error_);
}

/// Buckets that were submitted are decoded, whatever else goes wrong in the step: the other ranks have their results.
template <typename Enqueue>
void StreamLion::attempt(const Enqueue& enqueue) noexcept {
  try {
    enqueue();
  } catch (...) {
    note(std::current_exception());
  }
}

void StreamLion::tellSkipped() {
  if (step_.skipped == nullptr) return;
  const Device& device = *streams_.device()->device();
  const ContextScope scope(device);
  const auto to = reinterpret_cast<CudaDevicePointer>(step_.skipped);
  if (calls_.empty()) return streams_.device()->enqueueWrite(step_.stream, to, 0);
  // Every slice has the vetoes of all ranks.
  const CudaDevicePointer status = reinterpret_cast<CudaDevicePointer>(calls_.back().memory->statusAddress(0));
  const CudaDriver& driver = device.driver();
  checkCuda(driver, driver.cuMemcpyAsync(to, status, sizeof(int), step_.stream), "cuMemcpyAsync",
            "of what became of a step on ", device);
}

/// Behind what the stream does for this step.
void StreamLion::record() noexcept {
  if (calls_.empty() && !error_) return;
  try {
    const ContextScope scope(*streams_.device()->device());
    streams_.device()->device()->driver().cuEventRecord(last_use_, step_.stream);
  } catch (const std::exception& error) {
    log(LogLevel::kWarn, Subsystem::kColl, comm_.rank(), "after a Lion step: ", error.what());
  }
}

void StreamLion::cancel() noexcept {
  if (!is_under_way_) return;
  try {
    finish();
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): nobody is left to hear of it
  }
}

}  // namespace signccl
