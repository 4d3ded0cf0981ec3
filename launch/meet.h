// Brings the processes of a launched job together.
#ifndef SIGNCCL_LAUNCH_MEET_H_
#define SIGNCCL_LAUNCH_MEET_H_

#include <memory>

#include "launch/exchange.h"

namespace signccl::launch {

/// They meet at SIGNCCL_COMM_ID, else at MASTER_ADDR and MASTER_PORT, else through PMIx. Throws LaunchError, which says
/// what to set if there is none of these.
std::unique_ptr<Exchange> meet(const Party& party, const Environment& environment);

/// 16 random bytes in hexadecimal digits. Throws LaunchError.
std::string makeSecret();

}  // namespace signccl::launch

#endif  // SIGNCCL_LAUNCH_MEET_H_
