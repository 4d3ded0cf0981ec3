// SPDX-License-Identifier: Apache-2.0
// Transport over UCX active messages: between processes and hosts, through shared memory, tcp or verbs as UCX chooses.
//
// A message up to one segment of the transport arrives in memory of UCX, which shared memory lends and tcp wants
// copied; a larger one is announced, and moves into the memory of its receive once that is posted (UCX's rendezvous).
// No credits are needed: every schedule has all ranks wait for votes of all others before a slice ends, so a rank is
// ahead of another by at most the lanes of one exchange, which bounds what arrives unasked (docs/architecture.md).
//
// UCX calls back from frames of C, which no exception may cross: callbacks are noexcept, and progress() reports what
// went wrong in them.
#ifndef SIGNCCL_TRANSPORT_UCX_UCX_TRANSPORT_H_
#define SIGNCCL_TRANSPORT_UCX_UCX_TRANSPORT_H_

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transport/matcher.h"
#include "transport/process_transport.h"
#include "transport/ucx/ucx_worker.h"

namespace signccl {

/// One worker of UCX, for one rank of one communicator.
class UcxTransport final : public ProcessTransport {
 public:
  /// Makes the worker, which peers can reach at address() from now on. Of `options`, takes the route and the group.
  UcxTransport(std::shared_ptr<UcxContext> context, Rank rank, int nranks, const ProcessTransportOptions& options = {});
  ~UcxTransport() override;
  UcxTransport(const UcxTransport&) = delete;
  UcxTransport& operator=(const UcxTransport&) = delete;

  /// The version of UCX, a blank, the route, a line feed, and the address of the worker.
  [[nodiscard]] const std::string& address() const override { return address_; }
  /// Warns of peers with another version of UCX. A connection is made at the first send to a peer. Throws
  /// signcclInternalError for what is no address().
  void setAddresses(std::vector<std::string> addresses) override;
  void send(Rank peer, Tag tag, ConstBytes bytes, Request& request) override;
  void recv(Rank peer, Tag tag, Bytes memory, Landing landing, Request& request) override;
  void release(Request& request) override;
  void progress(std::vector<Request*>& completed) override;
  bool flush() override;
  void wait(std::chrono::microseconds longest) override;
  void wake() override { in_use_->worker.wake(); }
  void keepAlive(std::shared_ptr<const void> memory) override;
  [[nodiscard]] TransportCounters counters() const override { return counters_; }

  /// wait() for several transports of one rank, at least one; wake() of the first ends it.
  static void waitForAny(std::span<const std::unique_ptr<UcxTransport>> channels, std::chrono::microseconds longest);

 private:
  /// What goes before each message, in the byte order of the machine, which UCX requires to be the same on all.
  struct Header {
    Tag tag;              ///< its digest is masked: see Keys
    std::uint32_t group;  ///< proves that a rank of the group sends it
    std::int16_t source;
    std::uint16_t note;
  };

  /// Whoever reaches a worker of UCX can send to it. What the ranks of a group share and nobody else knows keeps
  /// strangers' messages from being kept, since they have another number, and from being taken for a rank's, since
  /// they have another digest.
  struct Keys {
    std::uint32_t group = 0;
    std::uint64_t digest_mask = 0;  ///< what digests are XORed with
  };

  struct Peer {
    UcxTransport* owner = nullptr;
    ucp_ep_h endpoint = nullptr;
    ucs_status_t status = UCS_OK;  ///< why the endpoint is broken
    bool has_sent = false;         ///< a message has come from it
    int outstanding = 0;           ///< sends under way and receives posted
    void* closing = nullptr;       ///< an operation of UCX
    std::string ucx_version;
    std::string route;    ///< interfaces and addresses that it uses
    std::string address;  ///< of its worker
  };

  /// A send or a rendezvous that UCX has not completed.
  struct Transfer {
    UcxTransport* owner = nullptr;
    Header header{};
    Request* request = nullptr;
  };

  enum class Form : std::uint8_t {
    kCopied,      ///< in `copy`
    kHeld,        ///< at `data`, in memory of UCX
    kRendezvous,  ///< still at its sender; `data` is what UCX announced it with
  };

  /// A message that has not met its receive.
  struct Arrival {
    Rank source = 0;
    Form form = Form::kCopied;
    Tag tag;
    std::uint32_t note = 0;
    void* data = nullptr;
    std::size_t size = 0;
    std::vector<std::byte> copy;
  };

  struct Posted {
    Rank source = 0;
    Landing landing = Landing::kCopy;
    Bytes memory;
    Request* request = nullptr;
  };

  /// What UCX works with. It stays when the transport goes if transfers do not end, since they may still use it.
  struct InUse {
    explicit InUse(std::shared_ptr<UcxContext> context) : worker(std::move(context)) {}

    std::deque<Transfer> transfers;  ///< all that were ever needed at once
    std::vector<std::shared_ptr<const void>> kept;
    UcxWorker worker;  ///< goes first
  };

  static Keys keysOf(const GroupKey& group);
  static ucs_status_t onMessage(void* self, const void* header, std::size_t header_size, void* data, std::size_t size,
                                const ucp_am_recv_param_t* param) noexcept;
  static void onSent(void* operation, ucs_status_t status, void* transfer) noexcept;
  static void onReceived(void* operation, ucs_status_t status, std::size_t size, void* transfer) noexcept;
  static void onBroken(void* peer, ucp_ep_h endpoint, ucs_status_t status) noexcept;

  bool arm();
  Peer& connectedPeer(Rank rank);
  void noteNewConnection() noexcept { is_settled_ = is_settled_by_flush_ = false; }
  ucs_status_t take(const Header& header, void* data, std::size_t size, std::uint64_t attributes);
  void accept(const Posted& posted, Arrival& arrival);
  void startRendezvous(const Posted& posted, const Arrival& arrival);
  void drop(const Arrival& arrival) noexcept;
  void checkSize(const Posted& posted, const Arrival& arrival) const;
  void deliver(const Posted& posted, Arrival& arrival);
  void finishReceive(Request& request, std::uint32_t note, ConstBytes data);
  void transferDone(Transfer& transfer, ucs_status_t status);
  void matchArrivals();
  void throwIfBroken();
  [[nodiscard]] PeerError lostConnection(Rank peer, ucs_status_t status) const;
  [[nodiscard]] bool isOfGroup(const void* header, std::size_t size) const;
  void reportStranger();
  Transfer& takeTransfer(Request& request);
  void breakPeer(Peer& peer, ucs_status_t status) noexcept;

  template <typename Done>
  bool progressUntil(const Done& done, std::chrono::milliseconds longest) noexcept;
  bool isOver(void*& operation) noexcept;
  void flushAtEnd() noexcept;
  void letAnswersLeave() noexcept;
  void closeEndpoints() noexcept;
  void close() noexcept;

  const Rank rank_;
  std::unique_ptr<InUse> in_use_;
  const UcxFunctions& ucx_;
  const ucp_worker_h worker_;
  const Keys keys_;
  const std::string route_;
  std::string address_;
  std::vector<Peer> peers_;

  Matcher<Arrival, Posted> matcher_;
  std::vector<Arrival> arrivals_;              ///< of the last turn of the worker
  std::vector<Request*> completed_;            ///< not yet given to the caller
  std::vector<void*> held_;                    ///< messages in memory of UCX that the caller has
  std::vector<Transfer*> unused_transfers_;    ///< with room for all of them
  std::vector<std::vector<std::byte>> spare_;  ///< memory for copies
  bool is_flushed_ = true;                     ///< nothing was sent since the last flush began
  void* flush_ = nullptr;                      ///< the flush under way, an operation of UCX
  bool is_settled_ = false;           ///< connections were made when the last flush ended; no others have begun
  bool is_settled_by_flush_ = false;  ///< they will be when the flush that is under way ends
  bool closing_ = false;
  bool out_of_memory_ = false;    ///< in a callback, which lost a message
  int under_way_ = 0;             ///< transfers that UCX has not completed
  std::uint64_t nstrangers_ = 0;  ///< messages that no rank of the group sent
  std::optional<std::chrono::steady_clock::time_point> broken_since_;
  TransportCounters counters_;
};

}  // namespace signccl

#endif  // SIGNCCL_TRANSPORT_UCX_UCX_TRANSPORT_H_
