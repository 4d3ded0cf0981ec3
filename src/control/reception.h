// SPDX-License-Identifier: Apache-2.0
// Where a hub listens: takes connections, which may be anybody's, and passes on those that know the secret.
#ifndef SIGNCCL_CONTROL_RECEPTION_H_
#define SIGNCCL_CONTROL_RECEPTION_H_

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <asio/ip/tcp.hpp>

#include "control/connection.h"
#include "control/unique_id.h"

namespace signccl {

/// What connections may do that have not said who they are.
struct StrangerLimits {
  std::chrono::milliseconds greeting_time{10'000};  ///< how long one may take to say it
  std::size_t most = 1024;                          ///< at once, and at most half of the descriptors of the process
};

/// Everything but listen() happens in the control thread.
class Reception : public std::enable_shared_from_this<Reception> {
 public:
  using ConnectionPointer = std::shared_ptr<Connection>;
  /// Takes over a connection, by its handlers, after a greeting with the secret. What it throws drops the connection.
  using Taker = std::function<void(const ConnectionPointer& connection, HelloMessage hello)>;

  Reception(asio::io_context& context, const Secret& secret, const StrangerLimits& limits);

  /// Starts to listen at `address`, whose port may be 0 for any, and gives the address with its port. Throws
  /// std::system_error.
  asio::ip::tcp::endpoint listen(const asio::ip::tcp::endpoint& address);

  /// Before anything of what follows. `on_no_descriptor` is called where nobody can be accepted because this process
  /// has too many open files.
  void start(Taker taker, std::function<void()> on_no_descriptor) {
    taker_ = std::move(taker);
    on_no_descriptor_ = std::move(on_no_descriptor);
  }
  void acceptNext();

  /// Serves a connection of whatever origin.
  void greet(asio::ip::tcp::socket socket);

  /// Accepts no more connections.
  void stopListening();

  [[nodiscard]] bool isListening() const { return acceptor_.is_open(); }
  /// True while there is something that tick() must look at.
  [[nodiscard]] bool isBusy() const { return isListening() || !strangers_.empty(); }

  /// To be called now and then: drops connections that are silent for too long, and accepts again after an error.
  void tick();

 private:
  struct Stranger {
    ConnectionPointer connection;
    std::chrono::steady_clock::time_point since;
  };

  void onAccept(asio::error_code error, asio::ip::tcp::socket socket);
  void onFrame(const ConnectionPointer& connection, MessageType type, std::string_view payload);
  void onClose(const ConnectionPointer& connection, const std::string& reason);
  void forget(const ConnectionPointer& connection);
  void dropStrangers();

  asio::ip::tcp::acceptor acceptor_;
  const Secret secret_;
  const StrangerLimits limits_;
  Taker taker_;
  std::function<void()> on_no_descriptor_;
  std::deque<Stranger> strangers_;  ///< the oldest first
  bool accepting_ = false;
};

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_RECEPTION_H_
