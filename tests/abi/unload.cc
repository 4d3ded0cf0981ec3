// SPDX-License-Identifier: Apache-2.0
// Closes the library while a communicator lives, whose threads run its code: it must stay loaded. unload <library>
#include <array>
#include <chrono>
#include <cstdio>
#include <dlfcn.h>
#include <stdexcept>
#include <string>
#include <thread>

#include "signccl/signccl.h"

namespace {

constexpr std::size_t kRanks = 2;
constexpr std::size_t kCount = 100;

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

/// The functions of the library that are called here.
struct Api {
  explicit Api(void* library)
      : initAll(find<decltype(&signcclCommInitAll)>(library, "signcclCommInitAll")),
        voteAsync(find<decltype(&signcclAllReduceVoteAsync)>(library, "signcclAllReduceVoteAsync")),
        wait(find<decltype(&signcclRequestWait)>(library, "signcclRequestWait")),
        destroy(find<decltype(&signcclCommDestroy)>(library, "signcclCommDestroy")) {}

  template <class Function>
  static Function find(void* library, const char* name) {
    void* found = dlsym(library, name);
    require(found != nullptr, std::string("the library has no ") + name);
    return reinterpret_cast<Function>(found);
  }

  decltype(&signcclCommInitAll) initAll;
  decltype(&signcclAllReduceVoteAsync) voteAsync;
  decltype(&signcclRequestWait) wait;
  decltype(&signcclCommDestroy) destroy;
};

void closeWhileInUse(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  require(library != nullptr, "the library cannot be loaded");
  const Api api(library);
  std::array<signcclComm_t, kRanks> comms{};
  require(api.initAll(comms.data(), kRanks, nullptr) == signcclSuccess, "the communicators cannot be made");

  const std::array<float, kCount> send{};
  std::array<std::array<float, kCount>, kRanks> recv{};
  std::array<signcclRequest_t, kRanks> requests{};
  const auto vote = [&](std::size_t rank) {
    const signcclResult_t result = api.voteAsync(send.data(), recv[rank].data(), kCount, signcclFloat32, signcclFloat32,
                                                 nullptr, comms[rank], nullptr, &requests[rank]);
    require(result == signcclSuccess, "a vote failed");
  };
  vote(0);  // starts a thread of the library, which waits for rank 1
  require(dlclose(library) == 0, "the library cannot be closed");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  require(dlopen(path, RTLD_NOW | RTLD_NOLOAD) != nullptr, "the library was unloaded");
  vote(1);
  for (signcclRequest_t& request : requests) require(api.wait(&request) == signcclSuccess, "waiting failed");
  for (const auto& result : recv) require(result.back() == 1.0F, "the vote is wrong");
  for (const signcclComm_t comm : comms) require(api.destroy(comm) == signcclSuccess, "destroying failed");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    require(argc == 2, "usage: unload <library>");
    closeWhileInUse(argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
