// SPDX-License-Identifier: Apache-2.0
// All that the fake driver knows, and how a call of it begins.
#ifndef SIGNCCL_TESTS_FAKE_CUDA_STATE_H_
#define SIGNCCL_TESTS_FAKE_CUDA_STATE_H_

#include <atomic>
#include <exception>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "fake_cuda/memory.h"
#include "fake_cuda/objects.h"

namespace fake_cuda {

/// A device: its queues, made at its first stream, and its primary context.
struct FakeDevice {
  std::vector<std::unique_ptr<Queue>> queues;
  std::size_t streams_made = 0;
  CUctx_st primary;
};

/// What a test lets fail.
struct Faults {
  long failing_call = 0;  ///< 0: none
  CudaResult failing_call_result{};
  std::map<std::string, CudaResult> functions;
};

struct State {
  std::mutex mutex;  ///< guards all but the atomic members; not held while a call waits
  Config config;
  unsigned long long generation = 0;  ///< how many states there were before
  std::atomic<int> process{0};        ///< that called cuInit(); 0: none did
  long calls = 0;
  Faults faults;
  Memory memory;
  std::vector<std::unique_ptr<FakeDevice>> devices;
  std::list<CUctx_st> contexts;  ///< those that are not primary; never erased, since handles may be used again
  std::map<CUstream_st*, std::shared_ptr<CUstream_st>> streams;
  std::map<CUevent_st*, std::shared_ptr<CUevent_st>> events;
  std::map<CUgraph_st*, std::unique_ptr<CUgraph_st>> graphs;
  std::map<CUgraphExec_st*, std::unique_ptr<CUgraphExec_st>> execs;
  std::map<CUlib_st*, std::unique_ptr<CUlib_st>> libraries;
  std::map<CUuserObject_st*, std::unique_ptr<CUuserObject_st>> user_objects;
  std::unique_ptr<Queue> callbacks;  ///< destroys what graphs kept; made when it is first needed
  std::list<std::unique_ptr<Capture>> captures;
  unsigned long long captures_made = 0;
};

/// The state of now; null before the fake is loaded and after the end of the process's main program.
State* currentState() noexcept;

/// How a call fails: thrown by what call() runs.
struct Failure : std::exception {
  explicit Failure(CudaResult of_call) : result(of_call) {}

  CudaResult result;
};

/// Throws `result` as a Failure unless `condition` holds.
inline void expect(bool condition, CudaResult result) {
  if (!condition) throw Failure{result};
}

/// What a call needs.
enum class Needs : std::uint8_t {
  kNothing,    ///< not even cuInit()
  kInit,       ///< cuInit() before it
  kContext,    ///< a current context that is not dead
  kNoCapture,  ///< that, and that no capture is under way that forbids what may wait or allocate
};

/// What a call has: the state, locked, and the current context where it needs one.
struct Call {
  State& state;
  std::unique_lock<std::mutex> lock;
  CUctx_st* context = nullptr;
};

/// Begins a call of the driver: checks what it needs, and fails it where a test wants that. Throws Failure.
Call begin(const char* symbol, Needs needs);

/// Carries out a call of the driver.
template <typename Body>
CudaResult call(const char* symbol, Needs needs, const Body& body) noexcept {
  try {
    Call begun = begin(symbol, needs);
    body(begun);
    return CudaResult::kSuccess;
  } catch (const Failure& failure) {
    return failure.result;
  } catch (const std::bad_alloc&) {
    return CudaResult::kOutOfMemory;
  }
}

/// The contexts of this thread, the current one last. None of a state that is reset.
std::vector<CUctx_st*>& contextStack() noexcept;

/// The current context, or null.
CUctx_st* currentContext() noexcept;

/// The mode of captures that this thread has set for itself.
signccl::CudaCaptureMode& captureModeOfThread() noexcept;

/// The object of a handle. Throws kInvalidHandle, or kInvalidValue for null.
template <typename Handle, typename Owner>
Owner& objectOf(std::map<Handle, Owner>& objects, Handle handle) {
  expect(handle != nullptr, CudaResult::kInvalidValue);
  const auto found = objects.find(handle);
  expect(found != objects.end(), CudaResult::kInvalidHandle);
  return found->second;
}

/// The device. Throws kInvalidDevice.
FakeDevice& deviceAt(State& state, int device);

/// Gives a kernel that is registered under the name its function. False if none is.
bool findKernel(const char* name, CUkern_st& kernel);

/// Waits until all tasks of a device are done that are there now. Unlocks meanwhile.
void waitForDevice(Call& call, int device, const char* who);

}  // namespace fake_cuda

#endif  // SIGNCCL_TESTS_FAKE_CUDA_STATE_H_
