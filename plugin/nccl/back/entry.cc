// SPDX-License-Identifier: Apache-2.0
// Where the front meets the back: functions with NCCL's arguments, for the one interposer of the process.
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>

#include "nccl/back/interposer.h"
#include "nccl/front/interface.h"
#include "rules/environment.h"

namespace signccl::nccl_preload {
namespace {

RealNccl functionsOf(const SigncclNcclFront& front) {
  RealNccl functions;
#define SIGNCCL_FIND(name, parameters) functions.name = reinterpret_cast<decltype(functions.name)>(front.find(#name));
  SIGNCCL_NCCL_PRELOAD_FUNCTIONS(SIGNCCL_FIND)
#undef SIGNCCL_FIND
  functions.ncclGetLastError = reinterpret_cast<const char* (*)(Comm)>(front.find("ncclGetLastError"));
  return functions;
}

std::string libraryOf(const SigncclNcclFront& front) {
  const std::string file = front.real_file;
  if (file.empty()) return front.real_reason;
  return "NCCL is " + file + ": " + front.real_reason;
}

/// Never destroyed: threads of the program may call NCCL until the very end.
Interposer* interposer = nullptr;

void start(const SigncclNcclFront& front) {
  static Interposer* const made = [&] {
    auto* const one = new Interposer(functionsOf(front), rules::environmentVariable, libraryOf(front));
    std::atexit([] { interposer->end(); });
    return one;
  }();
  interposer = made;
}

Result allReduce(const void* send, void* recv, std::size_t count, DataType type, RedOp op, Comm comm, Stream stream) {
  return interposer->allReduce({.send = send,
                                .recv = recv,
                                .count = count,
                                .type = type,
                                .op = op,
                                .comm = comm,
                                .stream = stream,
                                .config = nullptr,
                                .has_config = false});
}

Result allReduceConfig(const void* send, void* recv, std::size_t count, DataType type, RedOp op, Comm comm,
                       Stream stream, const CollConfig* config) {
  return interposer->allReduce({.send = send,
                                .recv = recv,
                                .count = count,
                                .type = type,
                                .op = op,
                                .comm = comm,
                                .stream = stream,
                                .config = config,
                                .has_config = true});
}

Result groupStart() { return interposer->groupStart(); }
Result groupEnd() { return interposer->groupEnd(); }
Result groupSimulateEnd(void* info) { return interposer->groupSimulateEnd(info); }

Result initAll(Comm* comms, int ndevices, const int* devices) { return interposer->initAll(comms, ndevices, devices); }
Result initRank(Comm* comm, int nranks, UniqueId id, int rank) { return interposer->initRank(comm, nranks, id, rank); }
Result initRankConfig(Comm* comm, int nranks, UniqueId id, int rank, Config* config) {
  return interposer->initRankConfig(comm, nranks, id, rank, config);
}
Result initRankScalable(Comm* comm, int nranks, int rank, int nids, UniqueId* ids, Config* config) {
  return interposer->initRankScalable(comm, nranks, rank, nids, ids, config);
}
Result split(Comm comm, int color, int key, Comm* newcomm, Config* config) {
  return interposer->split(comm, color, key, newcomm, config);
}
Result shrink(Comm comm, int* excluded, int nexcluded, Comm* newcomm, Config* config, int flags) {
  return interposer->shrink(comm, excluded, nexcluded, newcomm, config, flags);
}
Result grow(Comm comm, int nranks, const UniqueId* id, int rank, Comm* newcomm, Config* config) {
  return interposer->grow(comm, nranks, id, rank, newcomm, config);
}

Result destroy(Comm comm) { return interposer->destroy(comm); }
Result abortComm(Comm comm) { return interposer->abort(comm); }
Result finalize(Comm comm) { return interposer->finalize(comm); }
Result revoke(Comm comm, int flags) { return interposer->revoke(comm, flags); }
Result getAsyncError(Comm comm, Result* error) { return interposer->getAsyncError(comm, error); }
const char* getLastError(Comm comm) { return interposer->getLastError(comm); }

struct Wrapper {
  std::string_view name;
  void* function;
};

template <typename Function>
void* addressOf(Function* function) {
  return reinterpret_cast<void*>(function);
}

const Wrapper kWrappers[] = {
    {"ncclAllReduce", addressOf(allReduce)},
    {"ncclAllReduceConfig", addressOf(allReduceConfig)},
    {"ncclCommAbort", addressOf(abortComm)},
    {"ncclCommDestroy", addressOf(destroy)},
    {"ncclCommFinalize", addressOf(finalize)},
    {"ncclCommGetAsyncError", addressOf(getAsyncError)},
    {"ncclCommGrow", addressOf(grow)},
    {"ncclCommInitAll", addressOf(initAll)},
    {"ncclCommInitRank", addressOf(initRank)},
    {"ncclCommInitRankConfig", addressOf(initRankConfig)},
    {"ncclCommInitRankScalable", addressOf(initRankScalable)},
    {"ncclCommRevoke", addressOf(revoke)},
    {"ncclCommShrink", addressOf(shrink)},
    {"ncclCommSplit", addressOf(split)},
    {"ncclGetLastError", addressOf(getLastError)},
    {"ncclGroupEnd", addressOf(groupEnd)},
    {"ncclGroupSimulateEnd", addressOf(groupSimulateEnd)},
    {"ncclGroupStart", addressOf(groupStart)},
};

}  // namespace
}  // namespace signccl::nccl_preload

extern "C" __attribute__((visibility("default"))) void* signcclNcclBack(const SigncclNcclFront* front,
                                                                        const char* name) {
  using namespace signccl::nccl_preload;
  if (front->interface != SIGNCCL_NCCL_INTERFACE) return nullptr;
  try {
    start(*front);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  for (const Wrapper& wrapper : kWrappers) {
    if (wrapper.name == name) return wrapper.function;
  }
  return nullptr;
}
