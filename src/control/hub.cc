// SPDX-License-Identifier: Apache-2.0
#include "control/hub.h"

#include <algorithm>
#include <exception>
#include <utility>

#include <asio/execution_context.hpp>
#include <asio/post.hpp>

#include "base/descriptors.h"
#include "base/error.h"
#include "base/log.h"
#include "control/control_thread.h"
#include "control/failures.h"
#include "control/wire.h"
#include "host/host_identity.h"

namespace signccl {
namespace {

using std::chrono::steady_clock;

/// How long ranks that come after a failure are told about it.
constexpr std::chrono::seconds kObituaryTime{60};

/// A rank that was not heard of for so long is named as one that may be the cause of a delay.
constexpr std::chrono::milliseconds kSilence = 4 * kHeartbeatInterval;

/// "0.1" of "0.1.3"
std::string_view minorVersion(std::string_view version) { return version.substr(0, version.rfind('.')); }

std::string cannotAccept() { return "the process where the ranks meet can take no rank in: " + tooManyOpenFiles(); }

/// The hubs that were opened in a context, as long as they live. It belongs to the context, so that a child after
/// fork(), whose context is another one, has none. In the control thread.
class OpenHubs : public asio::execution_context::service {
 public:
  using key_type = OpenHubs;
  static inline asio::execution_context::id id;

  explicit OpenHubs(asio::execution_context& context) : service(context) {}

  void add(const std::shared_ptr<Hub>& hub) {
    std::erase_if(hubs_, [](const std::weak_ptr<Hub>& one) { return one.expired(); });
    hubs_.push_back(hub);
  }
  [[nodiscard]] const std::vector<std::weak_ptr<Hub>>& hubs() const { return hubs_; }

 private:
  void shutdown() override { hubs_.clear(); }

  std::vector<std::weak_ptr<Hub>> hubs_;
};

}  // namespace

Hub::Hub(asio::io_context& context, const Secret& secret, HubOptions options)
    : context_(context),
      timer_(context),
      options_(std::move(options)),
      point_{{}, secret},
      reception_(std::make_shared<Reception>(context, secret, options_.strangers)) {}

std::shared_ptr<Hub> Hub::make(asio::io_context& context, const Secret& secret, HubOptions options) {
  const auto hub = std::make_shared<Hub>(context, secret, std::move(options));
  // Not owned by the reception, which the hub owns: tick() keeps the hub alive as long as there is something to take.
  hub->reception_->start(
      [weak = std::weak_ptr(hub)](const ConnectionPointer& connection, HelloMessage hello) {
        if (const auto self = weak.lock()) self->onHello(connection, std::move(hello));
      },
      [weak = std::weak_ptr(hub)] {
        if (const auto self = weak.lock()) self->fail({signcclSystemError, cannotAccept()});
      });
  return hub;
}

std::shared_ptr<Hub> Hub::open(const asio::ip::tcp::endpoint& address, const Secret& secret, HubOptions options) {
  const auto hub = make(controlContext(), secret, std::move(options));
  try {
    hub->point_.address = hub->reception_->listen(address);
  } catch (const std::system_error& error) {
    const bool is_taken = error.code() == asio::error::address_in_use;
    throw Error(signcclSystemError, "cannot listen at " + toText(address) + ": " + error.code().message() +
                                        (is_taken ? ": another process of this host has the port" : ""));
  }
  if (const auto& known = hub->options_.addresses; !known.empty()) {
    hub->point_.address.address(known.front());
    hub->point_.other_addresses.assign(known.begin() + 1, known.end());
  }
  asio::post(hub->context_, [hub] {
    asio::use_service<OpenHubs>(hub->context_).add(hub);
    hub->scheduleTick();
    hub->reception_->acceptNext();
  });
  log(LogLevel::kInfo, Subsystem::kBootstrap, kNoRank, "listens at ", toText(hub->point_.endpoints()));
  return hub;
}

bool Hub::haveToldAll(asio::io_context& context, const MeetingPoint& point) {
  return std::ranges::all_of(asio::use_service<OpenHubs>(context).hubs(), [&](const std::weak_ptr<Hub>& one) {
    const std::shared_ptr<Hub> hub = one.lock();
    // A hub that listens at every address of its host is reached by others than the one that it knows.
    const bool is_meant =
        hub && hub->point_.secret == point.secret && hub->point_.address.port() == point.address.port();
    return !is_meant || hub->hasToldAll();
  });
}

bool Hub::hasToldAll() const {
  return std::ranges::all_of(ranks_, [](const RankState& one) { return !one.connection || one.connection->idle(); });
}

void Hub::close() noexcept {
  close_asked_.store(true);
  try {
    asio::post(context_, [self = shared_from_this()] { self->reception_->stopListening(); });
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): without memory, the next tick() does it
  }
}

void Hub::onFrame(Rank rank, MessageType type, std::string_view payload) {
  stateOf(rank).heard = steady_clock::now();
  switch (type) {
    case MessageType::kHeartbeat:
      stateOf(rank).begun = decodeNumber(payload);
      return;
    case MessageType::kFailure: {
      const Failure failure = decodeFailure(payload);
      if (!areRanks(failure.gone, nranks_)) WireReader::fail("a rank is out of range");
      return fail(failure);
    }
    case MessageType::kAnnounce:
      return onAnnounce(rank, decodeAnnounce(payload));
    case MessageType::kGather:
      return onGather(rank, decodeGather(payload));
    case MessageType::kLeave:
      return onLeave(rank, decodeNumber(payload));
    case MessageType::kQuery:
      return onQuery(rank, decodeNumber(payload));
    case MessageType::kOverdue:
      return onOverdue(rank, decodeGatheringId(payload));
    default:
      WireReader::fail("its type is none that a rank sends");
  }
}

void Hub::onClose(Rank rank, const std::string& reason) {
  stateOf(rank).connection = nullptr;
  if (left_[static_cast<std::size_t>(rank)]) return;
  fail({signcclRemoteError,
        rankName(rank) + " died or cannot be reached: its control connection: " + reason,
        Failure::Scope::kGroup,
        {rank}});
}

void Hub::onHello(const ConnectionPointer& connection, HelloMessage hello) {
  if (failure_) return refuse(connection, *failure_, true);
  if (hello.wire_version != kWireVersion) {
    const Failure failure{signcclInvalidUsage, "the ranks have different versions of SignCCL: the wire format is " +
                                                   std::to_string(hello.wire_version) + " at " + connection->peer() +
                                                   " and " + std::to_string(kWireVersion) + " where the ranks meet"};
    return refuse(connection, failure, false);
  }
  if (hello.nranks < 1 || hello.nranks > kMaxRanks || hello.rank < 0 || hello.rank >= hello.nranks) {
    return refuse(connection, outOfRange(hello.rank, hello.nranks), true);
  }
  if (nranks_ == 0) {
    nranks_ = hello.nranks;
    ranks_.resize(static_cast<std::size_t>(nranks_));
    left_.resize(ranks_.size());
    gatherings_.setRanks(ranks_.size());
  }
  if (hello.nranks != nranks_) return refuse(connection, otherSize(hello.rank, hello.nranks, nranks_), false);
  if (stateOf(hello.rank).has_joined) {
    return refuse(connection, {signcclInvalidUsage, rankName(hello.rank) + " has joined this communicator already"},
                  true);
  }
  if (const auto failure = objectionTo(hello)) return refuse(connection, *failure, false);
  welcome(connection, std::move(hello));
}

/// What speaks against a rank that fits so far: versions or settings other than those of the ranks that are there.
std::optional<Failure> Hub::objectionTo(const HelloMessage& hello) const {
  const auto first = std::ranges::find_if(ranks_, [](const RankState& rank) { return rank.has_joined; });
  if (first == ranks_.end()) return std::nullopt;
  const HelloMessage& earlier = first->hello;
  if (minorVersion(earlier.version) != minorVersion(hello.version)) {
    return Failure{signcclInvalidUsage, "the ranks have different versions of SignCCL: " +
                                            onRanks(earlier.version, earlier.rank, hello.version, hello.rank)};
  }
  if (const auto different = describeDifference(earlier.settings, earlier.rank, hello.settings, hello.rank)) {
    return differentSettings(*different);
  }
  return std::nullopt;
}

void Hub::welcome(const ConnectionPointer& connection, HelloMessage hello) {
  const Rank rank = hello.rank;
  connection->trust();
  connection->handOver([self = shared_from_this(), rank](
                           MessageType type, std::string_view payload) { self->onFrame(rank, type, payload); },
                       [self = shared_from_this(), rank](const std::string& reason) { self->onClose(rank, reason); });
  RankState& joined = stateOf(rank);
  joined.connection = connection;
  joined.hello = std::move(hello);
  joined.hello.info.hub_address = connection->staysInHost() ? "" : connection->localAddress().to_string();
  joined.has_joined = true;
  joined.heard = steady_clock::now();
  ++njoined_;
  log(LogLevel::kTrace, Subsystem::kBootstrap, rank, "joined from ", connection->peer(), ", ", njoined_, " of ",
      nranks_, " are there");
  if (!isComplete()) return;
  reception_->stopListening();
  RosterMessage roster;
  roster.group = makeSecret();
  roster.hub_process = processIdentity();
  for (const RankState& one : ranks_) roster.ranks.push_back(one.hello.info);
  broadcast(MessageType::kRoster, encode(roster));
}

/// Sends a connection away. Unless `only_this_one` is at fault, the others cannot go on either.
void Hub::refuse(const ConnectionPointer& connection, const Failure& failure, bool only_this_one) {
  log(LogLevel::kWarn, Subsystem::kBootstrap, kNoRank, "refused ", connection->peer(), ": ", failure.message);
  connection->send(MessageType::kFailure, encode(failure));
  connection->closeWhenSent();
  if (!only_this_one) fail(failure);
}

void Hub::onAnnounce(Rank rank, const AnnounceMessage& message) {
  for (std::size_t other = 0; other < ranks_.size(); ++other) {
    if (left_[other] && ranks_[other].begun <= message.exchange) {
      return fail(leftBeforeExchange(static_cast<Rank>(other), message.exchange, rank));
    }
  }
  const AnnouncedExchanges::Result result = announced_.add(rank, message, ranks_.size());
  switch (result.outcome) {
    case AnnouncedExchanges::Outcome::kIncomplete:
      return;
    case AnnouncedExchanges::Outcome::kComplete:
      return broadcast(MessageType::kAllAnnounced, encodeNumber(message.exchange));
    case AnnouncedExchanges::Outcome::kDisagreement:
      const std::string different =
          options_.describe ? options_.describe(result.signature, result.first_rank, message.signature, rank)
                            : "the calls of " + rankName(result.first_rank) + " and " + rankName(rank) + " differ";
      return fail(disagreement(message.exchange, different));
  }
}

void Hub::onGather(Rank rank, GatherMessage message) {
  const GatheringId id = message.id;
  if (const auto gathered = gatherings_.add(rank, std::move(message))) {
    broadcast(MessageType::kGathered, encode(*gathered));
  } else if (const auto other = gatherings_.firstRankOf(otherKind(id))) {
    fail(id.purpose == Gathering::kAllGather ? splitMeetsAllGather(*other, rank) : splitMeetsAllGather(rank, *other));
  } else {
    failIfStuck();
  }
}

/// A gathering needs every rank, so it cannot end if one left that has not given its part.
void Hub::failIfStuck() {
  if (const auto stuck = gatherings_.findStuck(left_)) {
    fail(leftBeforeGathering(stuck->rank, stuck->id.purpose, stuck->waiting));
  }
}

void Hub::onLeave(Rank rank, std::uint64_t begun) {
  if (left_[static_cast<std::size_t>(rank)]) return;
  left_[static_cast<std::size_t>(rank)] = true;
  stateOf(rank).begun = begun;
  broadcast(MessageType::kLeft, encode(LeftMessage{rank, begun}));
  failIfStuck();
  if (++nleft_ == nranks_) broadcast(MessageType::kAllLeft, {});
}

void Hub::onQuery(Rank rank, std::uint64_t exchange) {
  const auto now = steady_clock::now();
  MissingMessage missing{exchange, {}};
  for (std::size_t other = 0; other < ranks_.size(); ++other) {
    const RankState& one = ranks_[other];
    if (one.begun <= exchange || now - one.heard > kSilence) missing.ranks.push_back(static_cast<Rank>(other));
  }
  std::erase(missing.ranks, rank);
  if (const auto& asking = stateOf(rank).connection) asking->send(MessageType::kMissing, encode(missing));
}

void Hub::onOverdue(Rank rank, const GatheringId& gathering) {
  const bool is_joining = gathering.purpose == Gathering::kAddresses;
  if (is_joining && !isComplete()) return fail(neverJoined(rank, notJoined(), nranks_));
  const std::vector<Rank> missing = gatherings_.missing(gathering);
  if (missing.empty()) return;
  fail(is_joining ? neverJoined(rank, missing, nranks_) : neverGathered(rank, gathering.purpose, missing));
}

std::vector<Rank> Hub::notJoined() const {
  std::vector<Rank> missing;
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    if (!ranks_[rank].has_joined) missing.push_back(static_cast<Rank>(rank));
  }
  return missing;
}

void Hub::fail(const Failure& failure) {
  if (failure_) return;
  failure_ = failure;
  failed_at_ = steady_clock::now();
  log(LogLevel::kInfo, Subsystem::kBootstrap, kNoRank, "tells all ranks: ", failure.message);
  broadcast(MessageType::kFailure, encode(failure));
}

void Hub::broadcast(MessageType type, std::string_view payload) {
  const SharedFrame frame = makeFrame(type, payload);
  for (const RankState& one : ranks_) {
    if (one.connection) one.connection->send(frame);
  }
}

bool Hub::isConnected() const {
  return std::ranges::any_of(ranks_, [](const RankState& one) { return one.connection != nullptr; });
}

void Hub::tick() {
  if (!reception_->isBusy() && !isConnected()) return;
  scheduleTick();  // first, since what follows may run out of memory
  closeIfUnwanted();
  reception_->tick();
  for (const RankState& one : ranks_) {
    // What is queued keeps the connection busy, and a rank that is stopped must not make the queue grow.
    const bool is_quiet = one.connection && one.connection->idle();
    if (is_quiet) one.connection->send(MessageType::kHeartbeat, encodeNumber(0));
  }
}

void Hub::closeIfUnwanted() {
  const auto now = steady_clock::now();
  const bool is_over = failure_ && now - failed_at_ > kObituaryTime;
  const bool is_unused = nranks_ == 0 && options_.unused_time && now - opened_at_ > *options_.unused_time;
  if (!reception_->isListening() || !(close_asked_.load() || is_over || is_unused)) return;
  if (is_unused) {
    log(LogLevel::kInfo, Subsystem::kBootstrap, kNoRank, "no longer listens at ", toText(point_.endpoints()),
        ": no rank has come");
  }
  reception_->stopListening();
}

void Hub::scheduleTick() {
  timer_.expires_after(kHeartbeatInterval);
  timer_.async_wait([self = shared_from_this()](asio::error_code error) {
    if (!error) self->tick();
  });
}

}  // namespace signccl
