// SPDX-License-Identifier: Apache-2.0
// Settings of the user: where ranks meet, which processes are on one host, and how fast its link is.
#ifndef SIGNCCL_COMM_NETWORK_OPTIONS_H_
#define SIGNCCL_COMM_NETWORK_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

namespace signccl {

struct NetworkOptions {
  std::optional<std::string> socket_ifname;  ///< SIGNCCL_SOCKET_IFNAME
  std::optional<std::string> host_id;        ///< SIGNCCL_HOSTID
  std::optional<std::uint32_t> link_mbit;    ///< SIGNCCL_LINK_MBIT
  std::string ucx_library;                   ///< SIGNCCL_UCX_LIBRARY; empty: unset
  int nchannels = 1;                         ///< SIGNCCL_NCHANNELS
};

}  // namespace signccl

#endif  // SIGNCCL_COMM_NETWORK_OPTIONS_H_
