// The connections of one process in a star: process 0 has one to each of the others, the others have one to process 0.
#ifndef SIGNCCL_LAUNCH_LINKS_H_
#define SIGNCCL_LAUNCH_LINKS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>

#include "launch/exchange.h"
#include "launch/frame_socket.h"
#include "launch/listening_socket.h"

namespace signccl::launch {

/// Works only while one of its functions is called; one thread at a time. Everything throws LaunchError, after which
/// nothing but the destructor works: what failed is told to the other processes, as far as they can be reached.
class Links {
 public:
  /// Process 0 accepts the others.
  Links(ListeningSocket socket, const Party& party);
  /// The others connect to process 0 at one of `addresses`, which are tried in turn.
  Links(const std::vector<Address>& addresses, const Party& party);

  /// Sends `payload` to all that this process is connected to.
  void send(const std::string& payload);
  /// Receives one payload from each of them: [process] on process 0, [0] on the others.
  std::vector<std::string> receive();
  /// Tells them that this process has failed.
  void abort(const std::string& reason) noexcept;

 private:
  using Clock = std::chrono::steady_clock;
  using SocketPointer = std::shared_ptr<FrameSocket>;
  struct Link {
    SocketPointer socket;     ///< null where there is no connection
    std::uint64_t nonce = 0;  ///< by which a process that connects once more is told from another one
    bool is_waited_for = false;
  };
  struct Attempt;

  void acceptNext();
  void greet(const SocketPointer& socket, const Frame& frame);
  [[nodiscard]] std::optional<std::string> objectionTo(int process, int nprocesses, std::uint64_t nonce) const;
  std::optional<std::string> tryToConnect(const Address& address, Clock::time_point deadline);
  void sayHello(const SocketPointer& socket, const std::shared_ptr<Attempt>& attempt);
  void onData(std::size_t process, asio::error_code error, Frame frame, std::string& payload);
  void noteFailure(std::string reason);
  void runUntil(Clock::time_point deadline, const std::function<bool()>& done);
  void waitForAll(Clock::time_point deadline, const std::string& what);
  [[nodiscard]] bool isHub() const { return party_.place.process == 0; }
  [[nodiscard]] bool isWaiting() const;
  [[nodiscard]] std::string namesOfMissing() const;
  [[nodiscard]] Clock::time_point operationDeadline() const;
  void tellAndClose(const std::string& reason);
  [[noreturn]] void fail();

  Party party_;
  std::uint64_t nonce_;
  asio::io_context context_;
  asio::ip::tcp::acceptor acceptor_{context_};
  std::vector<Link> links_;  ///< [process]
  SocketPointer refused_;    ///< of a process that knows the secret and does not fit
  std::optional<std::string> failure_;
};

}  // namespace signccl::launch

#endif  // SIGNCCL_LAUNCH_LINKS_H_
