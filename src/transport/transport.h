// SPDX-License-Identifier: Apache-2.0
// How messages move between ranks: the seam between the executor and the outside world.
#ifndef SIGNCCL_TRANSPORT_TRANSPORT_H_
#define SIGNCCL_TRANSPORT_TRANSPORT_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/failure.h"
#include "base/types.h"

namespace signccl {

/// The connection to a peer is lost.
class PeerError : public FailureError {
 public:
  PeerError(Rank rank, Rank peer, const std::string& cause)
      : FailureError(
            {signcclRemoteError,
             "rank " + std::to_string(rank) + " lost its connection to rank " + std::to_string(peer) + ": " + cause,
             Failure::Scope::kGroup,
             {peer}}) {}
};

/// Names one message between an ordered pair of ranks. Both sides derive it from the schedule, so it is never
/// negotiated.
struct Tag {
  std::uint64_t exchange = 0;  ///< number of the exchange in its communicator
  std::uint32_t slice = 0;
  std::uint32_t ordinal = 0;  ///< n-th message of the schedule from this sender to this receiver
  std::uint64_t digest = 0;   ///< of what the sender has called; messages of ranks that disagree do not match

  friend bool operator==(const Tag&, const Tag&) = default;
};

/// Where a received message may be left.
enum class Landing : std::uint8_t {
  kCopy,    ///< in the memory given to recv()
  kBorrow,  ///< there, or in memory of the transport that is held until release()
};

/// One outstanding send or receive. Owned by the caller, who keeps it at its address until it is completed (and, for
/// a receive with Landing::kBorrow, released).
struct Request {
  std::uint64_t user = 0;  ///< for the caller
  std::uint32_t note = 0;  ///< up to 0xffff; of a send: travels with the message; of a receive: that of its message
  ConstBytes data;         ///< a completed receive: where the message is
  Rank peer = -1;          ///< set by send() and recv()

  /// What the transport notes about the request; nobody else looks at it.
  struct OfTransport {
    std::uint32_t channel = 0;
    std::uint64_t held = 0;  ///< what release() gives back, 0 for nothing
  } transport;
};

/// Messages, as counted where they are handed over.
struct TransportCounters {
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t messages_sent = 0;
  std::uint64_t messages_received = 0;

  void add(const TransportCounters& other) {
    bytes_sent += other.bytes_sent;
    bytes_received += other.bytes_received;
    messages_sent += other.messages_sent;
    messages_received += other.messages_received;
  }
};

/// Moves messages of one rank. No call but wait() blocks. All calls but wake() are made by one thread at a time.
///
/// Messages are matched by (peer, tag) alone, never by order. A message of 0 bytes is legal.
class Transport {
 public:
  virtual ~Transport() = default;

  /// Starts a send. `bytes` stays untouched until the request is completed; after a failure, until the transport
  /// is destroyed (see keepAlive).
  virtual void send(Rank peer, Tag tag, ConstBytes bytes, Request& request) = 0;

  /// Starts a receive of exactly memory.size() bytes.
  virtual void recv(Rank peer, Tag tag, Bytes memory, Landing landing, Request& request) = 0;

  /// Gives back the memory of a completed receive with Landing::kBorrow.
  virtual void release(Request& request) = 0;

  /// Advances what is outstanding and appends the requests that are now complete. Throws Error if a message does not
  /// fit its receive, and PeerError if a connection broke that something is outstanding on; then only keepAlive(),
  /// wake() and counters() may still be called. send() and recv() may throw the same.
  virtual void progress(std::vector<Request*>& completed) = 0;

  /// True once all sent data will reach the network without further calls. A send is complete when its memory may be
  /// used again, but the message may then still be in buffers that only progress() empties. To be called, like
  /// progress(), until it returns true, before the caller does something else.
  virtual bool flush() = 0;

  /// Blocks until progress() may have something to do, wake() is called, or `longest` has passed.
  virtual void wait(std::chrono::microseconds longest) = 0;

  /// Ends a wait() under way, or the next one. From any thread.
  virtual void wake() = 0;

  /// Holds `memory` until no peer can read it: for the send buffers of a communicator that failed.
  virtual void keepAlive(std::shared_ptr<const void> memory) = 0;

  [[nodiscard]] virtual TransportCounters counters() const = 0;
};

}  // namespace signccl

#endif  // SIGNCCL_TRANSPORT_TRANSPORT_H_
