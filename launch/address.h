// Where the first process of a job listens for the others.
#ifndef SIGNCCL_LAUNCH_ADDRESS_H_
#define SIGNCCL_LAUNCH_ADDRESS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launch/launcher.h"

namespace signccl::launch {

struct Address {
  std::string host;  ///< a name or an IPv4 or IPv6 address
  std::uint16_t port = 0;
};

/// "host:port", with brackets around an IPv6 address.
std::string toText(const Address& address);

/// The reverse of toText(). Throws LaunchError that names the variable `name`.
Address parseAddress(const std::string& name, const std::string& value);

/// The address in SIGNCCL_COMM_ID, else that in MASTER_ADDR and MASTER_PORT; nothing if neither is set. Throws
/// LaunchError.
std::optional<Address> addressFromVariables(const Environment& environment);

/// Addresses of this host that others may reach, likely ones first; those of lo only if there are no others. Throws
/// LaunchError.
std::vector<std::string> hostAddresses();

}  // namespace signccl::launch

#endif  // SIGNCCL_LAUNCH_ADDRESS_H_
