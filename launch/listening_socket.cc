#include "launch/listening_socket.h"

#include <unistd.h>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/ip/v6_only.hpp>

#include "launch/error.h"

namespace signccl::launch {
namespace {

using asio::ip::tcp;

/// Gives the descriptor. Throws asio::system_error.
int listenAt(const tcp::endpoint& endpoint) {
  asio::io_context context;
  tcp::acceptor acceptor(context, endpoint.protocol());
  // A port that an earlier job has just left can be used at once.
  acceptor.set_option(tcp::acceptor::reuse_address(true));
  if (endpoint.protocol() == tcp::v6()) acceptor.set_option(asio::ip::v6_only(false));
  acceptor.bind(endpoint);
  acceptor.listen();
  return acceptor.release();
}

/// All addresses of this host, of both families where it has IPv6. Throws asio::system_error.
int listenEverywhere(std::uint16_t port) {
  try {
    return listenAt({tcp::v6(), port});
  } catch (const asio::system_error&) {
    return listenAt({tcp::v4(), port});
  }
}

int listenAtHost(const Address& address) {
  asio::io_context context;
  tcp::resolver resolver(context);
  const auto found = resolver.resolve(address.host, std::to_string(address.port));
  try {
    return listenAt(found.begin()->endpoint());
  } catch (const asio::system_error& error) {
    // The address by which others reach this host need not be one of its own, as behind a translating router.
    if (error.code() != std::errc::address_not_available) throw;
    return listenEverywhere(address.port);
  }
}

}  // namespace

ListeningSocket::ListeningSocket() {
  try {
    descriptor_ = listenEverywhere(0);
  } catch (const asio::system_error& error) {
    throw LaunchError("cannot listen at any port: " + error.code().message());
  }
}

ListeningSocket::ListeningSocket(const Address& address) {
  try {
    descriptor_ = listenAtHost(address);
  } catch (const asio::system_error& error) {
    throw LaunchError("cannot listen at " + toText(address) + ": " + error.code().message() +
                      "; expected a free port of this host, where process 0 runs");
  }
}

ListeningSocket::~ListeningSocket() {
  if (descriptor_ >= 0) close(descriptor_);
}

std::uint16_t ListeningSocket::port() const {
  sockaddr_storage address{};
  socklen_t bytes = sizeof address;
  getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &bytes);
  // Both families have their port at the same place.
  return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

}  // namespace signccl::launch
