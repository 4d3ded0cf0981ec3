// SPDX-License-Identifier: Apache-2.0
// How a rank reaches the hub of its group: it tries to connect until it is connected or cannot be.
#ifndef SIGNCCL_CONTROL_CONNECTOR_H_
#define SIGNCCL_CONTROL_CONNECTOR_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include "base/types.h"

namespace signccl {

struct ConnectorOptions {
  std::vector<asio::ip::tcp::endpoint> addresses;  ///< tried in turn; at least one
  bool may_be_early = false;  ///< nobody may listen there yet, so a refused connection is no reason to give up
  Rank rank = 0;              ///< for the log
  std::chrono::milliseconds attempt_time{3000};  ///< longest time of one attempt
};

/// Used in the thread of its context only.
class Connector : public std::enable_shared_from_this<Connector> {
 public:
  using Connected = std::function<void(asio::ip::tcp::socket)>;
  using Refused = std::function<void(asio::error_code)>;

  Connector(asio::io_context& context, ConnectorOptions options);

  /// Starts to try. Calls `connected` with an open socket, or `refused` if nobody listens although somebody should, or
  /// if this process has no descriptor left; neither after stop(). After other errors it tries again without
  /// end: the deadline is the caller's.
  void start(Connected connected, Refused refused);
  void stop();

 private:
  void attempt();
  void onAttempt(asio::error_code error);
  void refuse(asio::error_code error);
  void retry(const std::string& reason);

  const ConnectorOptions options_;
  asio::io_context& context_;
  asio::ip::tcp::socket socket_;
  asio::steady_timer timer_;  ///< ends an attempt, or the pause before the next one
  Connected connected_;
  Refused refused_;
  std::size_t attempts_ = 0;
  bool stopped_ = false;
};

/// Whether both ends of a connection are this one socket: the kernel gave it, as its own port, the one that it was to
/// connect to, where nobody listened yet.
bool isConnectedToItself(const asio::ip::tcp::socket& socket);

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_CONNECTOR_H_
