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
#include "api/stream_place.h"
#include "base/error.h"
#include "base/failure.h"

namespace signccl {
namespace {

/// A Lion object with its communicator, which lives as long as it.
struct LionHandle {
  CommPointer comm;
  Lion lion;
  LionStepArguments arguments;  ///< of the last step

  LionHandle(CommPointer with, LionOptions options) : comm(std::move(with)), lion(std::move(options)) {}
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
      found->comm->noteError(failureOf(std::current_exception()));
      throw;
    }
  });
}

void begin(LionHandle& handle, const signcclLionStepConfig_t* step) {
  LionStepArguments& checked = handle.arguments;
  checkLionStep(step, handle.lion.ngroups(), checked);
  handle.lion.begin(*handle.comm->comm, checked.groups, checked.skips, checked.in_background);
}

std::span<const void* const> checkBucket(const LionHandle& handle, std::size_t first, std::size_t n,
                                         const void* const* gradients) {
  const std::size_t ntensors = handle.lion.ntensors();
  if (first > ntensors || n > ntensors - first) {
    throw Error(signcclInvalidArgument, "first is " + std::to_string(first) + " and n is " + std::to_string(n) +
                                            ", expected tensors among " + std::to_string(ntensors));
  }
  require(gradients != nullptr || n == 0, "gradients is NULL");
  for (std::size_t i = 0; i < n && loadedCudaDriver() != nullptr; ++i) {
    if (gradients[i] == nullptr) continue;
    requireOnHost(gradients[i], 1, [&] { return "gradients[" + std::to_string(i) + "]"; });
  }
  return {gradients, n};
}

void tell(int* skipped, bool was_skipped) {
  if (skipped != nullptr) *skipped = was_skipped ? 1 : 0;
}

void step(LionHandle& handle, const signcclLionStepConfig_t* step, const void* const* gradients, int* skipped) {
  const auto all = checkBucket(handle, 0, handle.lion.ntensors(), gradients);
  begin(handle, step);
  try {
    handle.lion.submit(0, all);
  } catch (const Error&) {           // NOLINT(bugprone-empty-catch): the end of the step tells it
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): as above
  }
  tell(skipped, *handle.lion.finish(std::nullopt));
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
    const std::optional<bool> was_skipped = handle.lion.finish(longest);
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
  findLion(handle)->lion.cancel();
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
  return guardLion(lion,
                   [&](LionHandle& handle) { handle.lion.submit(first, checkBucket(handle, first, n, gradients)); });
}

signcclResult_t signcclLionFinish(signcclLion_t lion, int timeoutMs, int* done, int* skipped) {
  return guardLion(lion, [&](LionHandle& handle) { finish(handle, timeoutMs, done, skipped); });
}

signcclResult_t signcclLionGetChanged(signcclLion_t lion, unsigned char* changed) {
  return guardLion(lion, [&](const LionHandle& handle) {
    require(changed != nullptr, "changed is NULL");
    for (std::size_t i = 0; i < handle.lion.ntensors(); ++i) changed[i] = handle.lion.mayHaveChanged(i) ? 1 : 0;
  });
}

signcclResult_t signcclLionRetry(signcclLion_t lion, signcclComm_t comm, int areParametersRestored, int* skipped) {
  return guardLion(lion, [&](LionHandle& handle) {
    CommPointer found = findComm(comm);
    if (areParametersRestored != 0 && areParametersRestored != 1) {
      throw Error(signcclInvalidArgument,
                  "areParametersRestored is " + std::to_string(areParametersRestored) + ", expected 0 or 1");
    }
    handle.lion.checkRetry(areParametersRestored == 1);  // a retry that is refused leaves the communicator as it is
    handle.comm = std::move(found);
    tell(skipped, handle.lion.retry(*handle.comm->comm));
  });
}
