// SPDX-License-Identifier: Apache-2.0
// The steps of Distributed Lion in the C API.
#include "lion/lion.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "api/guard.h"
#include "api/handles.h"
#include "api/lion_arguments.h"
#include "base/error.h"
#include "base/failure.h"
#include "lion/stream_lion.h"

namespace signccl {
namespace {

/// A Lion object with its communicator, which lives as long as it.
struct LionHandle {
  CommPointer comm;
  const int device;                     ///< in whose memory its tensors are, or kHostBuffers
  std::optional<Lion> on_host;          ///< this one
  std::optional<StreamLion> on_device;  ///< or this one
  CheckedLionStep arguments;            ///< of the last step

  LionHandle(CommPointer with, CheckedLion made) : comm(std::move(with)), device(made.device) {
    if (device == kHostBuffers) {
      on_host.emplace(std::move(made.options));
    } else {
      on_device.emplace(made.options, *comm->comm, comm->engineOf(device));
    }
  }

  [[nodiscard]] const LionOptions& options() const { return on_host ? on_host->options() : on_device->options(); }
  [[nodiscard]] LionPlace place() const { return {options(), device}; }
  [[nodiscard]] std::size_t ntensors() const { return options().tensors.size(); }
};
using LionPointer = std::shared_ptr<LionHandle>;

HandleTable<signcclLion_t, LionPointer>& lionHandles() {
  static constinit PerProcess<HandleTable<signcclLion_t, LionPointer>> table;
  return table.get();
}

LionPointer findLion(signcclLion_t lion) {
  require(lion != nullptr, "lion is NULL");
  return find(lionHandles(), lion, "the Lion object", "Lion");
}

/// Runs the body of a function on a Lion object, outside of groups. Its error is noted at the communicator.
template <typename Body>
signcclResult_t guardLion(signcclLion_t handle, const Body& body) noexcept {
  return guard(nullptr, [&] {
    const LionPointer found = findLion(handle);
    try {
      if (GroupScope::current().isOpen()) throw Error(signcclInvalidUsage, "a group cannot hold a Lion step");
      body(*found);
    } catch (...) {
      // After an error of CUDA on this rank the others would wait for its step.
      if (found->on_device) failForCuda(*found->comm->comm, std::current_exception());
      found->comm->noteError(failureOf(std::current_exception()));
      throw;
    }
  });
}

void begin(LionHandle& handle, const signcclLionStepConfig_t* step) {
  CheckedLionStep& checked = handle.arguments;
  checkLionStep(step, handle.place(), checked);
  if (handle.on_host) {
    handle.on_host->begin(*handle.comm->comm, checked.groups, checked.skips, checked.in_background);
  } else {
    handle.on_device->begin({checked.groups, checked.skips, checked.stream, checked.inputs, checked.skipped_on_device});
  }
}

void submit(LionHandle& handle, std::size_t first, std::span<const void* const> gradients) {
  if (handle.on_host) {
    handle.on_host->submit(first, gradients);
  } else {
    handle.on_device->submit(first, gradients);
  }
}

std::span<const void* const> checkBucket(const LionHandle& handle, std::size_t first, std::size_t n,
                                         const void* const* gradients) {
  const std::size_t ntensors = handle.ntensors();
  if (first > ntensors || n > ntensors - first) {
    throw Error(signcclInvalidArgument, "first is " + std::to_string(first) + " and n is " + std::to_string(n) +
                                            ", expected tensors among " + std::to_string(ntensors));
  }
  require(gradients != nullptr || n == 0, "gradients is NULL");
  checkLionGradients(gradients, first, n, handle.place());
  return {gradients, n};
}

/// What `skipped` receives on a device, where the stream learns it later.
constexpr int kNotKnown = -1;

void tell(int* skipped, int was_skipped) {
  if (skipped != nullptr) *skipped = was_skipped;
}

/// Ends the step: 1 if a rank skipped it, 0, or kNotKnown. Nothing if it goes on after `longest`.
std::optional<int> finish(LionHandle& handle, std::optional<std::chrono::milliseconds> longest) {
  if (handle.on_device) {
    handle.on_device->finish();
    return kNotKnown;
  }
  const std::optional<bool> was_skipped = handle.on_host->finish(longest);
  return was_skipped ? std::optional(*was_skipped ? 1 : 0) : std::nullopt;
}

void step(LionHandle& handle, const signcclLionStepConfig_t* step, const void* const* gradients, int* skipped) {
  const auto all = checkBucket(handle, 0, handle.ntensors(), gradients);
  begin(handle, step);
  try {
    submit(handle, 0, all);
  } catch (const Error&) {           // NOLINT(bugprone-empty-catch): the end of the step tells it
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): as above
  }
  tell(skipped, *finish(handle, std::nullopt));
}

void finish(LionHandle& handle, int timeout_ms, int* done, int* skipped) {
  require(done != nullptr, "done is NULL");
  if (timeout_ms < -1) {
    throw Error(signcclInvalidArgument, "timeoutMs is " + std::to_string(timeout_ms) + ", expected >= 0, or -1");
  }
  const auto longest =
      timeout_ms < 0 ? std::nullopt : std::optional<std::chrono::milliseconds>(std::chrono::milliseconds(timeout_ms));
  *done = 0;
  try {
    const std::optional<int> was_skipped = finish(handle, longest);
    if (!was_skipped) return;
    tell(skipped, *was_skipped);
  } catch (...) {
    *done = 1;
    throw;
  }
  *done = 1;
}

void destroy(signcclLion_t handle) {
  // A child after fork() only drops its copy of the handle: what is behind it belongs to the parent.
  if (handle != nullptr && lionHandles().isOfParent(handle)) return;
  const LionPointer found = findLion(handle);
  if (found->on_host) found->on_host->cancel();
  if (found->on_device) found->on_device->cancel();
  lionHandles().take(handle);
}

}  // namespace
}  // namespace signccl

using namespace signccl;

signcclResult_t signcclLionCreate(signcclLion_t* lion, const signcclLionConfig_t* config, signcclComm_t comm) {
  return guard(comm, [&] {
    require(lion != nullptr, "lion is NULL");
    CommPointer found = findComm(comm);
    *lion = lionHandles().insert(std::make_shared<LionHandle>(std::move(found), checkLionConfig(config)));
  });
}

signcclResult_t signcclLionDestroy(signcclLion_t lion) {
  return guard(nullptr, [&] { destroy(lion); });
}

signcclResult_t signcclLionStep(signcclLion_t lion, const signcclLionStepConfig_t* config, const void* const* gradients,
                                int* skipped) {
  return guardLion(lion, [&](LionHandle& handle) { step(handle, config, gradients, skipped); });
}

signcclResult_t signcclLionBegin(signcclLion_t lion, const signcclLionStepConfig_t* config) {
  return guardLion(lion, [&](LionHandle& handle) { begin(handle, config); });
}

signcclResult_t signcclLionSubmit(signcclLion_t lion, size_t first, size_t n, const void* const* gradients) {
  return guardLion(lion, [&](LionHandle& handle) { submit(handle, first, checkBucket(handle, first, n, gradients)); });
}

signcclResult_t signcclLionFinish(signcclLion_t lion, int timeoutMs, int* done, int* skipped) {
  return guardLion(lion, [&](LionHandle& handle) { finish(handle, timeoutMs, done, skipped); });
}

signcclResult_t signcclLionGetChanged(signcclLion_t lion, unsigned char* changed) {
  return guardLion(lion, [&](const LionHandle& handle) {
    require(changed != nullptr, "changed is NULL");
    for (std::size_t i = 0; i < handle.ntensors(); ++i) {
      const bool has = handle.on_host ? handle.on_host->mayHaveChanged(i) : handle.on_device->mayHaveChanged(i);
      changed[i] = has ? 1 : 0;
    }
  });
}

signcclResult_t signcclLionRetry(signcclLion_t lion, signcclComm_t comm, int areParametersRestored, int* skipped) {
  return guardLion(lion, [&](LionHandle& handle) {
    CommPointer found = findComm(comm);
    if (areParametersRestored != 0 && areParametersRestored != 1) {
      throw Error(signcclInvalidArgument,
                  "areParametersRestored is " + std::to_string(areParametersRestored) + ", expected 0 or 1");
    }
    if (handle.on_device) {
      throw Error(signcclInvalidUsage,
                  "the Lion object is on device " + std::to_string(handle.device) +
                      ", where the signs of a step are not kept, so that it cannot be exchanged again: momenta have "
                      "taken their gradients, so give all ranks the parameters of one of them, and make a Lion object "
                      "with the new communicator");
    }
    handle.on_host->checkRetry(areParametersRestored == 1);  // a retry that is refused leaves the communicator as it is
    handle.comm = std::move(found);
    tell(skipped, handle.on_host->retry(*handle.comm->comm) ? 1 : 0);
  });
}
