// The user's say in where ranks meet and what counts as one host.
#ifndef SIGNCCL_COMM_NETWORK_OPTIONS_H_
#define SIGNCCL_COMM_NETWORK_OPTIONS_H_

#include <optional>
#include <string>

namespace signccl {

struct NetworkOptions {
  std::optional<std::string> socket_ifname;  ///< SIGNCCL_SOCKET_IFNAME
  std::optional<std::string> host_id;        ///< SIGNCCL_HOSTID
};

}  // namespace signccl

#endif  // SIGNCCL_COMM_NETWORK_OPTIONS_H_
