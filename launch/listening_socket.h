// A TCP socket that listens, as its plain descriptor: it can be opened before processes are forked and used in one.
#ifndef SIGNCCL_LAUNCH_LISTENING_SOCKET_H_
#define SIGNCCL_LAUNCH_LISTENING_SOCKET_H_

#include <cstdint>
#include <utility>

#include "launch/address.h"

namespace signccl::launch {

class ListeningSocket {
 public:
  /// Listens at `address`; port 0 stands for any. Throws LaunchError.
  explicit ListeningSocket(const Address& address);
  /// Listens at any port of all addresses of this host. Throws LaunchError.
  ListeningSocket();
  ~ListeningSocket();
  ListeningSocket(ListeningSocket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  ListeningSocket& operator=(ListeningSocket&&) = delete;

  [[nodiscard]] std::uint16_t port() const;

  /// Gives the descriptor away.
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_ = -1;
};

}  // namespace signccl::launch

#endif  // SIGNCCL_LAUNCH_LISTENING_SOCKET_H_
