// SPDX-License-Identifier: Apache-2.0
// A transport between processes: one whose ranks have to tell each other their addresses.
#ifndef SIGNCCL_TRANSPORT_PROCESS_TRANSPORT_H_
#define SIGNCCL_TRANSPORT_PROCESS_TRANSPORT_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "transport/transport.h"

namespace signccl {

class ProcessTransport : public Transport {
 public:
  /// What peers need to reach this rank: opaque, typically a few hundred bytes.
  [[nodiscard]] virtual const std::string& address() const = 0;

  /// Tells the addresses of all ranks, [rank]; before the first send.
  virtual void setAddresses(std::vector<std::string> addresses) = 0;
};

/// What ranks of one group share, and nobody else knows: random bytes.
using GroupKey = std::array<std::uint8_t, 16>;

// GCC would warn of designated initializers that leave out a member without one of its own.
// NOLINTBEGIN(readability-redundant-member-init)
struct ProcessTransportOptions {
  std::string net_devices = {};  ///< a list as in UCX_NET_DEVICES; empty: as UCX chooses
  std::string route = {};        ///< the interfaces among them with their addresses, for messages; in one line
  GroupKey group = {};           ///< messages without it are dropped
  std::string ucx_library = {};  ///< SIGNCCL_UCX_LIBRARY; empty: unset
  int nchannels = 1;             ///< connections to each peer; the same on every rank
};
// NOLINTEND(readability-redundant-member-init)

/// Makes the transport of one rank; the first one of a process loads UCX. Throws Error, with what is missing if there
/// is no UCX to be had, or SignCCL was built without it.
std::unique_ptr<ProcessTransport> makeProcessTransport(const ProcessTransportOptions& options, Rank rank, int nranks);

}  // namespace signccl

#endif  // SIGNCCL_TRANSPORT_PROCESS_TRANSPORT_H_
