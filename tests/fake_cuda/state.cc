// SPDX-License-Identifier: Apache-2.0
#include "fake_cuda/state.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <unistd.h>

#include "base/per_thread.h"

namespace fake_cuda {
namespace {

std::atomic<State*> current{nullptr};

struct RegisteredKernel {
  std::size_t argument_bytes = 0;
  KernelFunction function = nullptr;
};

std::map<std::string, RegisteredKernel, std::less<>>& kernels() {
  static std::map<std::string, RegisteredKernel, std::less<>> all;
  return all;
}

std::mutex kernels_mutex;

std::unique_ptr<State> stateOf(const Config& config, unsigned long long generation) {
  auto state = std::make_unique<State>();
  state->config = config;
  state->generation = generation;
  for (int i = 0; i < config.devices; ++i) {
    state->devices.push_back(std::make_unique<FakeDevice>());
    state->devices.back()->primary.device = i;
    state->devices.back()->primary.is_primary = true;
  }
  return state;
}

/// The completion of all tasks that a queue has now.
std::shared_ptr<Completion> endOf(Queue& queue) {
  auto end = std::make_shared<Completion>();
  queue.push({.after = {}, .is_cancelled = [] { return false; }, .body = [](const auto&) {}, .done = end});
  return end;
}

/// Ends the queues, whose tasks use all the rest. What nobody keeps any more is destroyed first.
void endQueues(State& state) {
  for (const std::unique_ptr<FakeDevice>& device : state.devices) device->queues.clear();
  if (state.callbacks == nullptr) return;
  endOf(*state.callbacks)->wait("the end of the driver");
  state.callbacks.reset();
}

/// A variable of the environment, at most `most`.
int numberOf(const char* variable, long least, long most, int otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : static_cast<int>(std::clamp(std::strtol(text, nullptr, 10), least, most));
}

/// What programs that know nothing of the fake find.
Config configOfEnvironment() {
  Config config;
  config.devices = numberOf("SIGNCCL_FAKE_CUDA_DEVICES", 0, 4, config.devices);
  config.queues = numberOf("CUDA_DEVICE_MAX_CONNECTIONS", 1, 32, config.queues);
  return config;
}

/// The fake is there from when it is loaded until the main program ends, as a driver is.
struct Lifetime {
  Lifetime() {
    Memory::mapWindow();
    current.store(stateOf(configOfEnvironment(), 0).release(), std::memory_order_release);
  }
  ~Lifetime() {
    const int process = currentState()->process.load(std::memory_order_acquire);
    if (process != 0 && process != getpid()) return;  // a forked child has no threads to end
    endQueues(*currentState());
    delete current.exchange(nullptr);
  }
  Lifetime(const Lifetime&) = delete;
  Lifetime& operator=(const Lifetime&) = delete;
};

const Lifetime lifetime;

bool forbids(const Capture& capture) {
  if (captureModeOfThread() == signccl::CudaCaptureMode::kRelaxed) return false;
  switch (capture.mode) {
    case signccl::CudaCaptureMode::kGlobal:
      return captureModeOfThread() == signccl::CudaCaptureMode::kGlobal || capture.thread == std::this_thread::get_id();
    case signccl::CudaCaptureMode::kThreadLocal:
      return capture.thread == std::this_thread::get_id();
    case signccl::CudaCaptureMode::kRelaxed:
      return false;
  }
  return false;
}

void checkNoCapture(State& state) {
  bool is_forbidden = false;
  for (const std::unique_ptr<Capture>& capture : state.captures) {
    if (!forbids(*capture)) continue;
    capture->is_invalidated = true;
    is_forbidden = true;
  }
  expect(!is_forbidden, CudaResult::kStreamCaptureUnsupported);
}

/// Counts the call, and fails it where a test wants that.
void count(State& state, const char* symbol) {
  ++state.calls;
  if (state.faults.failing_call == state.calls) throw Failure{state.faults.failing_call_result};
  const auto failing = state.faults.functions.find(symbol);
  if (failing != state.faults.functions.end()) throw Failure{failing->second};
}

}  // namespace

State* currentState() noexcept { return current.load(std::memory_order_acquire); }

std::vector<CUctx_st*>& contextStack() noexcept {
  auto& stack = signccl::PerThread<std::vector<CUctx_st*>, struct ContextStack>::get();  // also after exit()
  thread_local unsigned long long generation = 0;
  const State* const state = currentState();
  const unsigned long long now = state == nullptr ? 0 : state->generation;
  if (std::exchange(generation, now) != now) stack.clear();
  return stack;
}

CUctx_st* currentContext() noexcept { return contextStack().empty() ? nullptr : contextStack().back(); }

signccl::CudaCaptureMode& captureModeOfThread() noexcept {
  thread_local signccl::CudaCaptureMode mode = signccl::CudaCaptureMode::kGlobal;
  return mode;
}

Call begin(const char* symbol, Needs needs) {
  State* const state = currentState();
  expect(state != nullptr, CudaResult::kDeinitialized);
  expect(!isInTask(), CudaResult::kNotPermitted);
  // A forked child is told what one is told that never began; the lock may be held for ever there.
  const int process = state->process.load(std::memory_order_acquire);
  expect(process == getpid() || (process == 0 && needs == Needs::kNothing), CudaResult::kNotInitialized);
  Call call{*state, std::unique_lock(state->mutex)};
  count(*state, symbol);
  if (needs == Needs::kNothing || needs == Needs::kInit) return call;
  call.context = currentContext();
  expect(call.context != nullptr, CudaResult::kInvalidContext);
  expect(call.context->users > 0, CudaResult::kContextIsDestroyed);
  expect(call.context->result.get() == CudaResult::kSuccess, call.context->result.get());
  if (needs == Needs::kNoCapture) checkNoCapture(*state);
  return call;
}

FakeDevice& deviceAt(State& state, int device) {
  expect(device >= 0 && device < static_cast<int>(state.devices.size()), CudaResult::kInvalidDevice);
  return *state.devices[static_cast<std::size_t>(device)];
}

void waitForDevice(Call& call, int device, const char* who) {
  std::vector<std::shared_ptr<Completion>> ends;
  for (const std::unique_ptr<Queue>& queue : deviceAt(call.state, device).queues) ends.push_back(endOf(*queue));
  call.lock.unlock();
  for (const std::shared_ptr<Completion>& end_of_queue : ends) end_of_queue->wait(who);
  call.lock.lock();
}

void reset(const Config& config) {
  endQueues(*currentState());
  State* const fresh = stateOf(config, currentState()->generation + 1).release();
  delete current.exchange(fresh, std::memory_order_acq_rel);
}

void failCall(long n, CudaResult result) {
  State& state = *currentState();
  const std::lock_guard lock(state.mutex);
  state.faults.failing_call = n == 0 ? 0 : state.calls + n;
  state.faults.failing_call_result = result;
}

void failCallsOf(const char* symbol, CudaResult result) {
  State& state = *currentState();
  const std::lock_guard lock(state.mutex);
  state.faults.functions[symbol] = result;
}

long callsMade() {
  State& state = *currentState();
  const std::lock_guard lock(state.mutex);
  return state.calls;
}

void failStream(CudaStream stream, CudaResult result) {
  State& state = *currentState();
  const std::lock_guard lock(state.mutex);
  objectOf(state.streams, stream)->result.fail(result);
}

void failContext(int device, CudaResult result) {
  State& state = *currentState();
  const std::lock_guard lock(state.mutex);
  deviceAt(state, device).primary.result.fail(result);
}

void* reserve(int device, std::size_t bytes, std::size_t mapped) {
  Memory& memory = currentState()->memory;
  return std::bit_cast<void*>(
      memory.takeOfDevice({.kind = MemoryKind::kReserved, .bytes = bytes, .mapped = mapped, .device = device}));
}

void release(void* reserved) {
  currentState()->memory.give(std::bit_cast<std::uintptr_t>(reserved), {MemoryKind::kReserved});
}

void registerKernel(const char* name, std::size_t argument_bytes, KernelFunction function) {
  const std::lock_guard lock(kernels_mutex);
  kernels()[name] = {argument_bytes, function};
}

bool findKernel(const char* name, CUkern_st& kernel) {
  const std::lock_guard lock(kernels_mutex);
  const auto found = kernels().find(name);
  if (found == kernels().end()) return false;
  kernel.name = name;
  kernel.argument_bytes = found->second.argument_bytes;
  kernel.function = found->second.function;
  return true;
}

}  // namespace fake_cuda
