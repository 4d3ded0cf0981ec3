// SPDX-License-Identifier: Apache-2.0
#include "fake_nccl/state.h"

#include <chrono>

namespace fake_nccl {

State& state() {
  static State& all = *new State;
  return all;
}

void violate(State& all, const std::string& what) {
  all.violations.push_back(what);
  throw Refusal{NcclResult::kInvalidUsage};
}

std::shared_ptr<Communicator> communicatorOf(State& all, NcclHandle handle) {
  const auto found = all.communicators.find(handle);
  if (found == all.communicators.end()) violate(all, "a communicator is used that is gone");
  return found->second;
}

bool reset(int version) {
  State& all = state();
  std::unique_lock lock(all.mutex);
  const bool are_gone = all.changed.wait_for(lock, std::chrono::seconds(10),
                                             [&] { return all.communicators.empty() && all.nending == 0; });
  all.version = version;
  all.calls = 0;
  all.failing_call = 0;
  all.naborted = 0;
  all.nall_reduces = 0;
  all.groups_on.clear();
  all.violations.clear();
  all.meetings.clear();
  all.tasks.clear();
  return are_gone;
}

void failCall(long n, NcclResult result) {
  const std::lock_guard lock(state().mutex);
  state().failing_call = n;
  state().failing_result = result;
}

long callsMade() {
  const std::lock_guard lock(state().mutex);
  return state().calls;
}

void failRank(int rank, NcclResult result) {
  const std::lock_guard lock(state().mutex);
  for (const auto& [handle, comm] : state().communicators) {
    if (comm->rank == rank) comm->error = result;
  }
}

int communicators() {
  const std::lock_guard lock(state().mutex);
  return static_cast<int>(state().communicators.size());
}

int aborted() {
  const std::lock_guard lock(state().mutex);
  return state().naborted;
}

long allReduces() {
  const std::lock_guard lock(state().mutex);
  return state().nall_reduces;
}

int groupsOn(CudaStream stream) {
  const std::lock_guard lock(state().mutex);
  const auto found = state().groups_on.find(stream);
  return found == state().groups_on.end() ? 0 : found->second;
}

std::vector<std::string> violations() {
  const std::lock_guard lock(state().mutex);
  return state().violations;
}

}  // namespace fake_nccl
