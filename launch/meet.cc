#include "launch/meet.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>

#include <sys/random.h>

#include "launch/error.h"
#include "launch/pmix_store.h"

namespace signccl::launch {
namespace {

std::unique_ptr<Exchange> meetAt(const Address& address, const Party& party) {
  if (party.place.process == 0) return std::make_unique<Exchange>(ListeningSocket(address), party);
  return std::make_unique<Exchange>(std::vector<Address>{address}, party);
}

/// Process 0 publishes "PORT SECRET HOST...".
std::unique_ptr<Exchange> meetThroughPmix(Party party) {
  const auto timeout = std::chrono::duration_cast<std::chrono::seconds>(party.join_timeout);
  if (party.place.process == 0) {
    ListeningSocket socket;
    party.secret = makeSecret();
    std::string published = std::to_string(socket.port()) + " " + party.secret;
    for (const std::string& host : hostAddresses()) published += " " + host;
    pmixShare(0, published, timeout);
    return std::make_unique<Exchange>(std::move(socket), party);
  }
  std::istringstream published(pmixShare(party.place.process, {}, timeout));
  std::uint16_t port = 0;
  published >> port >> party.secret;
  std::vector<Address> addresses;
  for (std::string host; published >> host;) addresses.push_back({host, port});
  return std::make_unique<Exchange>(addresses, party);
}

}  // namespace

std::unique_ptr<Exchange> meet(const Party& party, const Environment& environment) {
  if (const auto address = addressFromVariables(environment)) {
    Party known = party;
    known.secret = environment("SIGNCCL_COMM_SECRET").value_or("");
    return meetAt(*address, known);
  }
  const bool is_under_pmix = environment("PMIX_NAMESPACE").has_value() && party.place.origin != "--rank";
  if (is_under_pmix && hasPmix()) return meetThroughPmix(party);
  throw LaunchError(
      "process " + std::to_string(party.place.process) + " of " + std::to_string(party.place.nprocesses) + " (from " +
      party.place.origin +
      ") does not know where to meet the others: set SIGNCCL_COMM_ID=host:port, or MASTER_ADDR and "
      "MASTER_PORT, to the host of process 0 and a free port there, the same on all processes" +
      (is_under_pmix ? "; this build has no PMIx (Debian package libpmix-dev), which would do without" : ""));
}

std::string makeSecret() {
  std::array<unsigned char, 16> bytes{};
  if (getentropy(bytes.data(), bytes.size()) != 0) {
    throw LaunchError(std::string("no random bytes for a secret: ") + std::strerror(errno));
  }
  std::string digits;
  for (const unsigned char byte : bytes) {
    for (const int half : {byte >> 4, byte & 15}) digits += "0123456789abcdef"[half];
  }
  return digits;
}

}  // namespace signccl::launch
