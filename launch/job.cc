#include "launch/job.h"

#include <cstdlib>
#include <iostream>
#include <memory>

#include "launch/error.h"
#include "launch/local_processes.h"
#include "launch/meet.h"

namespace signccl::launch {
namespace {

/// What is left for the others to say what they have noticed, once a process has failed.
constexpr std::chrono::seconds kGrace{5};

std::unique_ptr<Exchange> joinForked(ListeningSocket socket, const Party& party) {
  if (party.place.process == 0) return std::make_unique<Exchange>(std::move(socket), party);
  return std::make_unique<Exchange>(std::vector<Address>{{"127.0.0.1", socket.port()}}, party);
}

int runBody(Exchange& exchange, const std::function<int(Exchange&)>& body) {
  try {
    return body(exchange);
  } catch (const std::exception& error) {
    exchange.abort(error.what());
    throw;
  }
}

int runForked(int nprocesses, const std::string& name, const std::function<int(Exchange&)>& body) {
  ListeningSocket socket(Address{"127.0.0.1", 0});
  Party party;
  party.place = {0, nprocesses, "-p"};
  party.secret = makeSecret();
  LocalProcesses processes(nprocesses);
  if (!processes.child()) {
    {
      const ListeningSocket closed_here = std::move(socket);
    }
    return processes.wait(kGrace, [&](const std::string& line) { std::cerr << name << ": " << line << '\n'; });
  }
  party.place.process = *processes.child();
  return runBody(*joinForked(std::move(socket), party), body);
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

int runJob(const Job& job, const std::string& name, const std::function<int(Exchange&)>& body) {
  if (job.kind == JobKind::kAlone) {
    Exchange alone;
    return body(alone);
  }
  const Environment before = [address = environmentVariable("SIGNCCL_COMM_ID")](const std::string& variable) {
    return variable == "SIGNCCL_COMM_ID" ? address : environmentVariable(variable);
  };
  unsetenv("SIGNCCL_COMM_ID");
  if (job.kind == JobKind::kForked) return runForked(job.place.nprocesses, name, body);
  const auto exchange = meet({.place = job.place, .secret = {}}, before);
  return runBody(*exchange, body);
}

}  // namespace signccl::launch
