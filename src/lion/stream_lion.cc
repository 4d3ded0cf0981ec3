// SPDX-License-Identifier: Apache-2.0
#include "lion/stream_lion.h"

#include <utility>

#include "base/error.h"
#include "base/failure.h"
#include "base/log.h"
#include "device/capture.h"
#include "device/driver_error.h"
#include "stream/stream_rank.h"

namespace signccl {
namespace {

/// Frees what Lion objects before have left, and makes memory, perhaps while this thread captures a stream.
std::shared_ptr<LionOnDevice> makeOwn(const std::shared_ptr<StreamDevice>& device, const LionOptions& options) {
  device->freeUnused();
  const RelaxedCapture relaxed(device->device()->driver());
  return std::make_shared<LionOnDevice>(device, options);
}

CudaEvent makeEvent(const StreamDevice& device) {
  const RelaxedCapture relaxed(device.device()->driver());
  const ContextScope scope(*device.device());
  const CudaDriver& driver = device.device()->driver();
  CudaEvent event = nullptr;
  checkCuda(driver, driver.cuEventCreate(&event, kCudaEventDisableTiming), "cuEventCreate", "on ", *device.device());
  return event;
}

}  // namespace

StreamLion::StreamLion(const LionOptions& options, Communicator& comm, StreamEngine& engine)
    : comm_(comm), engine_(engine), own_(makeOwn(engine.device(), options)), last_use_(makeEvent(*engine.device())) {}

StreamLion::~StreamLion() {
  try {
    engine_.device()->keepUntil({last_use_}, {std::move(own_)});
  } catch (const std::exception& error) {
    log(LogLevel::kWarn, Subsystem::kDestroy, comm_.rank(), "what a Lion object had on ", *engine_.device()->device(),
        " may not be freed: ", error.what());
  }
}

void StreamLion::begin(const StreamLionStep& step) {
  if (is_under_way_) throw Error(signcclInvalidUsage, "a Lion step is under way: it ends with signcclLionFinish()");
  SIGNCCL_ASSERT(step.groups.size() == options().ngroups);
  const Device& device = *engine_.device()->device();
  const RelaxedCapture relaxed(device.driver());
  const ContextScope scope(device);
  engine_.checkCapture(step.stream, "Lion steps");
  capture_ = captureOf(device, step.stream);
  if (capture_) engine_.device()->freeUnused();
  working_ = capture_ ? std::make_shared<LionOnDevice>(engine_.device(), options()) : own_;
  working_->tensors.setHyperparameters(step.groups);
  for (StepTensor& tensor : own_->tensors.all()) tensor.is_submitted = false;
  step_ = step;
  step_.groups = {};
  call_ = comm_.takeCallNumber();
  working_->kernels.beginStep({step.groups, step.inputs, step.skips, call_, capture_.has_value()});
  error_ = nullptr;
  is_under_way_ = true;
}

void StreamLion::checkUnderWay() const {
  if (!is_under_way_) throw Error(signcclInvalidUsage, "no Lion step is under way: signcclLionBegin() begins one");
}

/// True if the stream is in the capture in which the step was begun, or is not captured, as it was not then.
bool StreamLion::isWhereItBegan() const {
  const Device& device = *engine_.device()->device();
  const ContextScope scope(device);
  const std::optional<StreamCapture> now = captureOf(device, step_.stream);
  return now.has_value() == capture_.has_value() && (!now || now->id == capture_->id);
}

void StreamLion::checkWhereItBegan() const {
  if (isWhereItBegan()) return;
  throw Error(signcclInvalidUsage,
              capture_
                  ? "the capture into a CUDA graph in which the Lion step was begun has ended: all its buckets and "
                    "signcclLionFinish() belong into the same capture"
                  : "the stream is being captured into a CUDA graph, and the Lion step was begun before: submit "
                    "its buckets before the capture");
}

void StreamLion::submit(std::size_t first, std::span<const void* const> gradients) {
  checkUnderWay();
  own_->tensors.checkNotSubmitted(first, gradients.size());
  if (gradients.empty()) return;
  if (error_) std::rethrow_exception(error_);
  try {
    checkWhereItBegan();
    working_->tensors.segmentsOf(first, gradients.size(), call_, segments_);
    LionKernels& kernels = working_->kernels;
    kernels.setGradients(first, gradients);
    calls_.reserve(calls_.size() + 1);
    const StreamStep step{kernels, static_cast<std::int64_t>(first), &kernels.veto(), kernels.deviceVeto(), working_};
    calls_.push_back(engine_.enqueueFront(options().rules, segments_, step_.stream, &step));
  } catch (...) {
    note(std::current_exception());
    throw;
  }
  for (StepTensor& tensor : own_->tensors.all().subspan(first, gradients.size())) tensor.is_submitted = true;
}

/// Notes the first error of the step. The other ranks wait for the votes of this one, which are not coming.
void StreamLion::note(const std::exception_ptr& error) noexcept {
  if (!error_) error_ = error;
  failForCuda(comm_, error);
}

void StreamLion::finish() {
  checkUnderWay();
  if (!isWhereItBegan()) {
    if (!capture_) {
      throw Error(signcclInvalidUsage,
                  "the stream is being captured into a CUDA graph, and the Lion step was begun before: end the step "
                  "before the capture or after it");
    }
    note(std::make_exception_ptr(
        Error(signcclInvalidUsage,
              "the capture into a CUDA graph in which the Lion step was begun has ended before the step: do not replay "
              "the graph, and call signcclLionFinish() before the end of the capture")));
    calls_.clear();
  }
  is_under_way_ = false;
  endBuckets();
  release();
  if (error_) std::rethrow_exception(error_);
}

/// Buckets that were submitted are decoded, whatever else goes wrong in the step: the other ranks have their results.
void StreamLion::endBuckets() {
  for (const auto& call : calls_) {
    attempt([&] {
      EngineCall* const calls[] = {call.get()};
      if (const std::exception_ptr error = enqueueBacks(calls).front()) std::rethrow_exception(error);
    });
  }
  if (!error_) attempt([this] { tellSkipped(); });
}

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
  const Device& device = *engine_.device()->device();
  const ContextScope scope(device);
  const auto to = reinterpret_cast<CudaDevicePointer>(step_.skipped);
  if (calls_.empty()) return engine_.device()->enqueueWrite(step_.stream, to, 0);
  const CudaDevicePointer vetoed = reinterpret_cast<CudaDevicePointer>(calls_.back()->vetoed());
  const CudaDriver& driver = device.driver();
  checkCuda(driver, driver.cuMemcpyAsync(to, vetoed, sizeof(int), step_.stream), "cuMemcpyAsync",
            "of what became of a step on ", device);
}

/// The step is over: the stream, or the graph, may go on using what it worked with.
void StreamLion::release() noexcept {
  const bool used_own = !capture_ && (!calls_.empty() || error_);
  calls_.clear();
  try {
    if (capture_) {
      engine_.device()->keepWhileHeld({std::move(working_)});
    } else if (used_own) {
      const ContextScope scope(*engine_.device()->device());
      engine_.device()->device()->driver().cuEventRecord(last_use_, step_.stream);
    }
  } catch (const std::exception& error) {
    log(LogLevel::kWarn, Subsystem::kColl, comm_.rank(), "after a Lion step: ", error.what());
  }
  working_.reset();
}

void StreamLion::cancel() noexcept {
  if (!is_under_way_) return;
  try {
    finish();
  } catch (const std::exception&) {
    // Nobody is left to hear of it. A step that goes on leaves this rank without results that the others have.
    if (is_under_way_) comm_.fail(failureOf(std::current_exception()));
  }
}

}  // namespace signccl
