// SPDX-License-Identifier: Apache-2.0
#include "launch/meet.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>

#include "launch/error.h"
#include "launch/pmi_store.h"
#include "launch/pmix_store.h"

namespace signccl::launch {
namespace {

constexpr int kLastPort = 65535;
constexpr std::chrono::minutes kStoreTimeout{1};

/// torchrun's agent listens at MASTER_PORT itself unless it leaves that to the first process.
bool agentHoldsThePort(const Environment& environment) {
  const std::string value = environment("TORCHELASTIC_USE_AGENT_STORE").value_or("");
  return value == "True" || value == "true" || value == "1";
}

std::string masterAddress(const std::string& host, const std::string& port_text, const Environment& environment) {
  int port = 0;
  const char* const end = port_text.data() + port_text.size();
  const auto [stop, error] = std::from_chars(port_text.data(), end, port);
  if (host.empty()) throw LaunchError("MASTER_ADDR is empty, expected the host name or address of process 0");
  if (error != std::errc() || stop != end || port < 1 || port > kLastPort) {
    throw LaunchError("MASTER_PORT is '" + port_text + "', expected a number of 1 to 65535");
  }
  if (agentHoldsThePort(environment)) ++port;
  if (port > kLastPort) {
    throw LaunchError("MASTER_PORT is 65535, expected at most 65534: torchrun holds that port, and the next is used");
  }
  const bool is_bare_v6 = host.find(':') != std::string::npos && host.front() != '[';
  return (is_bare_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

/// Whether `message` names the port of `point`, "host:port".
bool namesPortOf(const std::string& point, const std::string& message) {
  const std::string port = point.substr(point.rfind(':'));
  const std::size_t found = message.find(port);
  return found != std::string::npos && message.find_first_of("0123456789", found + port.size()) != found + port.size();
}

signcclUniqueId makeUniqueId() {
  signcclUniqueId id{};
  if (signcclGetUniqueId(&id) != signcclSuccess) throw LaunchError(signcclGetLastError(nullptr));
  return id;
}

/// Where the port of `point`, which MASTER_ADDR and MASTER_PORT gave, comes from, for the end of a message that names
/// it: the user may never have named that port.
std::string originOfPort(const std::string& point, const std::string& message, const Environment& environment) {
  if (!namesPortOf(point, message)) return {};
  if (!agentHoldsThePort(environment)) return " (the port is MASTER_PORT)";
  return " (the port is MASTER_PORT + 1, since torchrun itself listens at MASTER_PORT=" +
         environment("MASTER_PORT").value_or("") +
         "; a second torchrun of this host may have it: give one of them another --master-port, or set "
         "SIGNCCL_COMM_ID=host:port)";
}

/// Every process says itself where they meet.
std::unique_ptr<JobComm> meetAt(const std::string& point, const Place& place, const Environment& environment) {
  const bool is_of_user = !environment("SIGNCCL_COMM_ID").value_or("").empty();
  setenv("SIGNCCL_COMM_ID", point.c_str(), 1);
  try {
    auto comm = std::make_unique<JobComm>(place, makeUniqueId());
    unsetenv("SIGNCCL_COMM_ID");
    return comm;
  } catch (const LaunchError& error) {
    unsetenv("SIGNCCL_COMM_ID");
    throw LaunchError(error.what() + (is_of_user ? "" : originOfPort(point, error.what(), environment)));
  }
}

std::string toHex(const signcclUniqueId& id) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char byte : id.internal) {
    const auto value = static_cast<unsigned char>(byte);
    text.append({kDigits[value >> 4U], kDigits[value & 0xfU]});
  }
  return text;
}

signcclUniqueId fromHex(const std::string& text) {
  signcclUniqueId id{};
  bool is_good = text.size() == 2 * sizeof id.internal;
  for (std::size_t i = 0; is_good && i < sizeof id.internal; ++i) {
    unsigned char value = 0;
    const char* const digits = text.data() + 2 * i;
    is_good = std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2;
    id.internal[i] = static_cast<char>(value);
  }
  if (is_good) return id;
  throw LaunchError("process 0 published '" + text + "' through the launcher, expected a unique id of " +
                    std::to_string(2 * sizeof id.internal) + " hexadecimal digits");
}

/// Process 0 publishes the id. `share(value)` gives its value to all.
template <typename Share>
std::unique_ptr<JobComm> meetThroughStore(const Place& place, const Share& share) {
  signcclUniqueId id{};
  if (place.process == 0) id = makeUniqueId();
  const std::string published = share(place.process == 0 ? toHex(id) : std::string());
  return std::make_unique<JobComm>(place, fromHex(published));
}

}  // namespace

std::optional<std::string> meetingPoint(const Environment& environment) {
  if (auto point = environment("SIGNCCL_COMM_ID"); point && !point->empty()) return point;
  const auto host = environment("MASTER_ADDR");
  const auto port = environment("MASTER_PORT");
  if (!host && !port) return std::nullopt;
  if (!host || !port) {
    throw LaunchError(std::string(host ? "MASTER_ADDR" : "MASTER_PORT") + " is set to '" + (host ? *host : *port) +
                      "', but " + (host ? "MASTER_PORT" : "MASTER_ADDR") + " is not set: expected both or none");
  }
  return masterAddress(*host, *port, environment);
}

std::unique_ptr<JobComm> meet(const Place& place, const Environment& environment) {
  if (const auto point = meetingPoint(environment)) return meetAt(*point, place, environment);
  const bool is_under_pmix = environment("PMIX_NAMESPACE").has_value() && place.origin != "--rank";
  if (is_under_pmix && hasPmix()) {
    return meetThroughStore(place, [&](const std::string& id) { return pmixShare(place.process, id, kStoreTimeout); });
  }
  if (const auto descriptor = environment("PMI_FD"); descriptor && place.origin == "PMI") {
    return meetThroughStore(
        place, [&](const std::string& id) { return pmiShare(*descriptor, place.process, id, kStoreTimeout); });
  }
  throw LaunchError(
      "process " + std::to_string(place.process) + " of " + std::to_string(place.nprocesses) + " (from " +
      place.origin +
      ") does not know where to meet the others: set SIGNCCL_COMM_ID=host:port, or MASTER_ADDR and "
      "MASTER_PORT, to the host of process 0 and a free port there, the same on all processes" +
      (is_under_pmix ? "; this build has no PMIx (Debian package libpmix-dev), which would do without" : ""));
}

}  // namespace signccl::launch
