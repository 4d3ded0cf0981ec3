// SPDX-License-Identifier: Apache-2.0
#include "launch/job.h"

#include <cstdlib>
#include <memory>

#include "launch/error.h"
#include "launch/error_line.h"
#include "launch/id_pipe.h"
#include "launch/local_processes.h"
#include "launch/meet.h"

namespace signccl::launch {
namespace {

/// What is left for the others to say what they have noticed, once a process has failed.
constexpr std::chrono::seconds kGrace{5};

/// Process 0 makes the unique id and gives it to the others.
signcclUniqueId passUniqueId(IdPipe& pipe, const Place& place) {
  if (place.process != 0) return pipe.take();
  signcclUniqueId id{};
  if (signcclGetUniqueId(&id) != signcclSuccess) throw LaunchError(signcclGetLastError(nullptr));
  pipe.give(id, place.nprocesses - 1);
  return id;
}

int runBody(JobComm& comm, const std::function<int(JobComm&)>& body) {
  try {
    return body(comm);
  } catch (...) {
    comm.abort();
    throw;
  }
}

int runForked(int nprocesses, const std::string& name, const std::function<int(JobComm&)>& body) {
  auto pipe = std::make_unique<IdPipe>();
  LocalProcesses processes(nprocesses);
  if (!processes.child()) {
    pipe.reset();
    return processes.wait(kGrace, [&](const std::string& line) { printErrorLine(name, line); });
  }
  const Place place{*processes.child(), nprocesses, "-p"};
  const signcclUniqueId id = passUniqueId(*pipe, place);
  pipe.reset();
  JobComm comm(place, id);
  return runBody(comm, body);
}

}  // namespace

Job planJob(const LaunchOptions& options, const Environment& environment) {
  const bool is_numbered = options.rank || options.nranks;
  if (is_numbered && options.processes) {
    throw LaunchError("-p starts processes and --rank says that they are started already: expected one of the two");
  }
  std::optional<Place> place;
  if (is_numbered) {
    place = placeFromArguments(options.rank, options.nranks);
  } else {
    place = placeFromLauncher(environment);
  }
  const bool is_launched = place && place->nprocesses > 1;
  if (options.processes && is_launched) {
    throw LaunchError("-p " + std::to_string(*options.processes) + " starts processes, but " + place->origin +
                      " has started this one as one of " + std::to_string(place->nprocesses) + ": expected no -p");
  }
  if (is_launched) return {JobKind::kLaunched, *place};
  if (options.processes.value_or(1) > 1) return {JobKind::kForked, {0, *options.processes, "-p"}};
  if (options.processes) return {JobKind::kAlone, {0, 1, "-p"}};
  return {JobKind::kAlone, place.value_or(Place{})};
}

int runJob(const Job& job, const std::string& name, const std::function<int(JobComm&)>& body) {
  if (job.kind == JobKind::kAlone) {
    JobComm alone;
    return body(alone);
  }
  if (job.kind == JobKind::kForked) {
    unsetenv("SIGNCCL_COMM_ID");
    return runForked(job.place.nprocesses, name, body);
  }
  return runBody(*meet(job.place, environmentVariable), body);
}

}  // namespace signccl::launch
