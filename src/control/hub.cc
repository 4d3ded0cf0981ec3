#include "control/hub.h"

#include <algorithm>
#include <utility>

#include <asio/post.hpp>
#include <sys/resource.h>

#include "base/error.h"
#include "base/log.h"
#include "control/control_thread.h"
#include "control/failures.h"
#include "control/gathering.h"
#include "control/wire.h"
#include "host/host_identity.h"

namespace signccl {
namespace {

using std::chrono::steady_clock;

/// How long ranks that come after a failure are told about it.
constexpr std::chrono::seconds kObituaryTime{60};

/// Exchanges whose announcements are kept; only one that hangs or is empty is announced at all.
constexpr std::size_t kMaxAnnounced = 1024;

/// A rank that was not heard of for so long is named as one that may be the cause of a delay.
constexpr std::chrono::milliseconds kSilence = 4 * kHeartbeatInterval;

/// "0.1" of "0.1.3"
std::string_view minorVersion(std::string_view version) { return version.substr(0, version.rfind('.')); }

/// The descriptors belong to the user's program: strangers must not take all of them.
StrangerLimits limited(StrangerLimits limits) {
  rlimit descriptors{};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
    limits.most = std::min(limits.most, static_cast<std::size_t>(descriptors.rlim_cur / 2));
  }
  return limits;
}

}  // namespace

Hub::Hub(asio::io_context& context, const Secret& secret, const StrangerLimits& limits)
    : context_(context),
      acceptor_(context),
      timer_(context),
      accept_timer_(context),
      limits_(limited(limits)),
      point_{{}, secret} {}

std::shared_ptr<Hub> Hub::open(const asio::ip::tcp::endpoint& address, const Secret& secret,
                               const StrangerLimits& limits) {
  auto hub = std::make_shared<Hub>(controlContext(), secret, limits);
  try {
    hub->listen(address);
  } catch (const std::system_error& error) {
    throw Error(signcclSystemError, "cannot listen at " + toText(address) + ": " + error.what());
  }
  asio::post(hub->context_, [hub] {
    hub->acceptNext();
    hub->scheduleTick();
  });
  log(LogLevel::kInfo, Subsystem::kBootstrap, kNoRank, "listens at ", toText(hub->point_.address));
  return hub;
}

void Hub::listen(const asio::ip::tcp::endpoint& address) {
  acceptor_.open(address.protocol());
  acceptor_.set_option(asio::ip::tcp::acceptor::reuse_address(true));
  acceptor_.bind(address);
  acceptor_.listen();
  point_.address = {address.address(), acceptor_.local_endpoint().port()};
}

void Hub::close() {
  asio::post(context_, [self = shared_from_this()] {
    asio::error_code ignored;
    self->acceptor_.close(ignored);
  });
}

void Hub::acceptNext() {
  if (!acceptor_.is_open()) return;
  acceptor_.async_accept([self = shared_from_this()](asio::error_code error, asio::ip::tcp::socket socket) {
    if (!self->acceptor_.is_open()) return;
    if (!error) {
      self->greet(std::move(socket));
      self->acceptNext();
      return;
    }
    // Out of descriptors, most likely: the connection stays in the kernel's queue meanwhile.
    log(LogLevel::kWarn, Subsystem::kBootstrap, kNoRank, "cannot accept a connection: ", error.message());
    self->accept_timer_.expires_after(std::chrono::milliseconds(100));
    self->accept_timer_.async_wait([self](asio::error_code) { self->acceptNext(); });
  });
}

void Hub::greet(asio::ip::tcp::socket socket) {
  const auto link = std::make_shared<Link>(std::make_shared<Connection>(std::move(socket)));
  strangers_.push_back(link);
  dropStrangers();
  link->connection->start(
      [self = shared_from_this(), link](MessageType type, std::string_view payload) {
        self->onFrame(link, type, payload);
      },
      [self = shared_from_this(), link](const std::string& reason) { self->onClose(link, reason); });
}

/// Drops strangers that were silent for too long and, if there are too many, those that have been so for longest: a
/// rank greets as soon as it is connected.
void Hub::dropStrangers() {
  const auto now = steady_clock::now();
  while (!strangers_.empty()) {
    const LinkPointer oldest = strangers_.front();
    const bool is_late = now - oldest->since >= limits_.greeting_time;
    if (!is_late && strangers_.size() <= limits_.most) return;
    log(LogLevel::kWarn, Subsystem::kBootstrap, kNoRank, "dropped a connection from ", oldest->connection->peer(),
        is_late ? ": it did not say who it is" : ": too many others do not say who they are either");
    oldest->connection->close();
    strangers_.pop_front();
  }
}

void Hub::onFrame(const LinkPointer& link, MessageType type, std::string_view payload) {
  if (link->rank < 0) {
    if (type != MessageType::kHello) WireReader::fail("it does not begin with a greeting");
    onHello(link, payload);
    return;
  }
  const Rank rank = link->rank;
  member(rank).heard = steady_clock::now();
  switch (type) {
    case MessageType::kHeartbeat:
      member(rank).begun = decodeNumber(payload);
      return;
    case MessageType::kFailure:
      return fail(decodeFailure(payload));
    case MessageType::kAnnounce:
      return onAnnounce(rank, decodeAnnounce(payload));
    case MessageType::kGather:
      return onGather(rank, decodeGather(payload));
    case MessageType::kLeave:
      return onLeave(rank, decodeNumber(payload));
    case MessageType::kQuery:
      return onQuery(*link, decodeNumber(payload));
    case MessageType::kOverdue:
      return onOverdue(rank, decodeNumber(payload));
    default:
      WireReader::fail("its type is none that a rank sends");
  }
}

void Hub::onClose(const LinkPointer& link, const std::string& reason) {
  if (link->rank < 0) {
    std::erase(strangers_, link);
    log(LogLevel::kWarn, Subsystem::kBootstrap, kNoRank, "dropped a connection from ", link->connection->peer(), ": ",
        reason);
    return;
  }
  Member& gone = member(link->rank);
  gone.link = nullptr;
  if (!gone.has_left) {
    fail({signcclRemoteError,
          "rank " + std::to_string(link->rank) + " died or cannot be reached: its control connection: " + reason});
  }
}

void Hub::onHello(const LinkPointer& link, std::string_view payload) {
  HelloMessage hello = decodeHello(payload);
  if (hello.secret != point_.secret) WireReader::fail("it has a wrong secret");
  if (failure_) return refuse(link, *failure_, true);
  const std::string me = "rank " + std::to_string(hello.rank);
  if (hello.wire_version != kWireVersion) {
    const Failure failure{signcclInvalidUsage, "the ranks have different versions of SignCCL: the wire format is " +
                                                   std::to_string(hello.wire_version) + " at " +
                                                   link->connection->peer() + " and " + std::to_string(kWireVersion) +
                                                   " where the ranks meet"};
    return refuse(link, failure, false);
  }
  if (hello.nranks < 1 || hello.nranks > kMaxRanks || hello.rank < 0 || hello.rank >= hello.nranks) {
    return refuse(link, {signcclInvalidUsage, me + " of " + std::to_string(hello.nranks) + " cannot be"}, true);
  }
  if (nranks_ == 0) {
    nranks_ = hello.nranks;
    members_.resize(static_cast<std::size_t>(nranks_));
  }
  if (hello.nranks != nranks_) return refuse(link, otherSize(hello.rank, hello.nranks, nranks_), false);
  if (member(hello.rank).has_joined) {
    return refuse(link, {signcclInvalidUsage, me + " has joined this communicator already"}, true);
  }
  if (const auto failure = objectionTo(hello)) return refuse(link, *failure, false);
  welcome(link, std::move(hello));
}

/// What speaks against a rank that fits so far: versions or settings other than those of the ranks that are there.
std::optional<Failure> Hub::objectionTo(const HelloMessage& hello) const {
  const auto first = std::ranges::find_if(members_, [](const Member& member) { return member.has_joined; });
  if (first == members_.end()) return std::nullopt;
  const HelloMessage& earlier = first->hello;
  if (minorVersion(earlier.version) != minorVersion(hello.version)) {
    return Failure{signcclInvalidUsage, "the ranks have different versions of SignCCL: " + earlier.version +
                                            " on rank " + std::to_string(earlier.rank) + " and " + hello.version +
                                            " on rank " + std::to_string(hello.rank)};
  }
  if (const auto difference = describeDifference(earlier.settings, earlier.rank, hello.settings, hello.rank)) {
    return Failure{signcclInvalidUsage, *difference};
  }
  return std::nullopt;
}

void Hub::welcome(const LinkPointer& link, HelloMessage hello) {
  const Rank rank = hello.rank;
  std::erase(strangers_, link);
  link->rank = rank;
  link->connection->trust();
  Member& joined = member(rank);
  joined.link = link;
  joined.hello = std::move(hello);
  joined.has_joined = true;
  joined.heard = steady_clock::now();
  ++njoined_;
  log(LogLevel::kTrace, Subsystem::kBootstrap, rank, "joined from ", link->connection->peer(), ", ", njoined_, " of ",
      nranks_, " are there");
  if (!isComplete()) return;
  asio::error_code ignored;
  acceptor_.close(ignored);
  RosterMessage roster;
  roster.group = makeSecret();
  roster.hub_process = processIdentity();
  for (const Member& one : members_) roster.ranks.push_back(one.hello.info);
  broadcast(MessageType::kRoster, encode(roster));
}

/// Sends a connection away. Unless `only_this_one` is at fault, the others cannot go on either.
void Hub::refuse(const LinkPointer& link, const Failure& failure, bool only_this_one) {
  log(LogLevel::kWarn, Subsystem::kBootstrap, kNoRank, "refused ", link->connection->peer(), ": ", failure.message);
  link->connection->send(MessageType::kFailure, encode(failure));
  link->connection->closeWhenSent();
  std::erase(strangers_, link);
  if (!only_this_one) fail(failure);
}

void Hub::onAnnounce(Rank rank, AnnounceMessage message) {
  for (std::size_t other = 0; other < members_.size(); ++other) {
    if (members_[other].has_left && members_[other].begun <= message.exchange) {
      return fail(leftBeforeExchange(static_cast<Rank>(other), message.exchange, rank));
    }
  }
  Announced& noted = announced_[message.exchange];
  if (noted.first_rank < 0) {
    noted.first_rank = rank;
    noted.signature = std::move(message.signature);
  } else if (!(noted.signature == message.signature)) {
    return fail(disagreement(message.exchange, noted.signature, noted.first_rank, message.signature, rank));
  }
  noted.ranks.insert(rank);
  if (static_cast<int>(noted.ranks.size()) == nranks_) {
    broadcast(MessageType::kAllAnnounced, encodeNumber(message.exchange));
    announced_.erase(message.exchange);
  }
  if (announced_.size() > kMaxAnnounced) announced_.erase(announced_.begin());
}

void Hub::onGather(Rank rank, GatherMessage message) {
  Gathering& gathering = gatherings_[message.number];
  gathering.parts.resize(members_.size());
  if (gathering.first_rank < 0) gathering.first_rank = rank;
  std::optional<std::string>& part = gathering.parts[static_cast<std::size_t>(rank)];
  if (!part) ++gathering.present;
  part = std::move(message.part);
  if (const auto other = gatherings_.find(otherKind(message.number)); other != gatherings_.end()) {
    const Rank other_rank = other->second.first_rank;
    return fail(isAllGather(message.number) ? splitMeetsAllGather(other_rank, rank)
                                            : splitMeetsAllGather(rank, other_rank));
  }
  if (gathering.present < members_.size()) return failIfLeft(message.number, gathering);
  GatheredMessage gathered{message.number, {}};
  for (std::optional<std::string>& one : gathering.parts) gathered.parts.push_back(std::move(*one));
  gatherings_.erase(message.number);
  broadcast(MessageType::kGathered, encode(gathered));
}

/// A gathering needs every rank, so it cannot end if one left that has not given its part.
void Hub::failIfLeft(std::uint64_t number, const Gathering& gathering) {
  for (std::size_t rank = 0; rank < members_.size(); ++rank) {
    if (!members_[rank].has_left || gathering.parts[rank]) continue;
    return fail(leftBeforeGathering(number, static_cast<Rank>(rank), gathering.first_rank));
  }
}

void Hub::onLeave(Rank rank, std::uint64_t begun) {
  Member& leaving = member(rank);
  if (leaving.has_left) return;
  leaving.has_left = true;
  leaving.begun = begun;
  broadcast(MessageType::kLeft, encode(LeftMessage{rank, begun}));
  for (const auto& [number, gathering] : gatherings_) failIfLeft(number, gathering);
  if (++nleft_ == nranks_) broadcast(MessageType::kAllLeft, {});
}

void Hub::onQuery(const Link& link, std::uint64_t exchange) {
  const auto now = steady_clock::now();
  MissingMessage missing{exchange, {}};
  for (std::size_t rank = 0; rank < members_.size(); ++rank) {
    const Member& one = members_[rank];
    if (one.begun <= exchange || now - one.heard > kSilence) missing.ranks.push_back(static_cast<Rank>(rank));
  }
  std::erase(missing.ranks, link.rank);
  link.connection->send(MessageType::kMissing, encode(missing));
}

void Hub::onOverdue(Rank rank, std::uint64_t what) {
  if (what == kJoining && !isComplete()) return fail(neverJoined(rank, notJoined(), nranks_));
  if (what == kJoining) what = kAddressGathering;
  const auto gathering = gatherings_.find(what);
  if (gathering == gatherings_.end()) return;
  std::vector<Rank> missing;
  for (std::size_t other = 0; other < members_.size(); ++other) {
    if (!gathering->second.parts[other]) missing.push_back(static_cast<Rank>(other));
  }
  fail(what == kAddressGathering ? neverJoined(rank, missing, nranks_) : missedGathering(what, rank, missing));
}

std::vector<Rank> Hub::notJoined() const {
  std::vector<Rank> ranks;
  for (std::size_t rank = 0; rank < members_.size(); ++rank) {
    if (!members_[rank].has_joined) ranks.push_back(static_cast<Rank>(rank));
  }
  return ranks;
}

void Hub::fail(const Failure& failure) {
  if (failure_) return;
  failure_ = failure;
  failed_at_ = steady_clock::now();
  log(LogLevel::kInfo, Subsystem::kBootstrap, kNoRank, "tells all ranks: ", failure.message);
  broadcast(MessageType::kFailure, encode(failure));
}

void Hub::broadcast(MessageType type, std::string_view payload) {
  for (const Member& one : members_) {
    if (one.link) one.link->connection->send(type, payload);
  }
}

void Hub::tick() {
  dropStrangers();
  if (failure_ && steady_clock::now() - failed_at_ > kObituaryTime) {
    asio::error_code ignored;
    acceptor_.close(ignored);
  }
  bool connected = false;
  for (const Member& one : members_) {
    if (!one.link) continue;
    connected = true;
    // What is queued keeps the connection busy, and a rank that is stopped must not make the queue grow.
    if (one.link->connection->idle()) one.link->connection->send(MessageType::kHeartbeat, encodeNumber(0));
  }
  if (acceptor_.is_open() || connected || !strangers_.empty()) scheduleTick();
}

void Hub::scheduleTick() {
  timer_.expires_after(kHeartbeatInterval);
  timer_.async_wait([self = shared_from_this()](asio::error_code error) {
    if (!error) self->tick();
  });
}

}  // namespace signccl
