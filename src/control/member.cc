// SPDX-License-Identifier: Apache-2.0
#include "control/member.h"

#include <algorithm>
#include <exception>
#include <future>
#include <thread>
#include <utility>

#include <asio/post.hpp>

#include "base/descriptors.h"
#include "base/error.h"
#include "control/control_thread.h"
#include "control/failures.h"
#include "control/hub.h"
#include "control/wire.h"
#include "host/host_identity.h"
#include "signccl/version.h"

namespace signccl {
namespace {

constexpr std::chrono::milliseconds kTick{100};
constexpr int kTicksPerHeartbeat = static_cast<int>(kHeartbeatInterval / kTick);

/// How long an answer of the hub may take, beyond a deadline that has passed.
constexpr std::chrono::seconds kAnswerTime{1};

ConnectorOptions connectorOptions(const MemberOptions& options) {
  return {.addresses = options.addresses.empty() ? options.point.endpoints() : options.addresses,
          .may_be_early = options.may_be_early,
          .rank = options.rank};
}

}  // namespace

Member::Member(asio::io_context& context, MemberOptions options)
    : context_(context),
      options_(std::move(options)),
      connector_(std::make_shared<Connector>(context, connectorOptions(options_))),
      timer_(context),
      record_(options_.rank, options_.nranks, options_.info.process) {}

std::shared_ptr<Member> Member::join(MemberOptions options) {
  auto member = std::make_shared<Member>(controlContext(), std::move(options));
  asio::post(member->context_, [member] { member->connect(); });
  return member;
}

void Member::connect() {
  if (closed_) return;
  scheduleTick();
  is_connecting_ = true;
  connector_->start([self = shared_from_this()](asio::ip::tcp::socket socket) { self->greet(std::move(socket)); },
                    [self = shared_from_this()](asio::error_code error) { self->onRefused(error); });
}

void Member::onRefused(asio::error_code error) {
  is_connecting_ = false;
  if (error == asio::error::no_descriptors) {
    return setFailure({signcclSystemError, rankName(rank()) + " cannot connect: " + tooManyOpenFiles()});
  }
  setFailure({signcclRemoteError, "rank " + std::to_string(rank()) + " found no process at " +
                                      toText(options_.point.endpoints()) +
                                      ", where the ranks meet: the process that made commId has ended, all ranks had "
                                      "joined already, or none had joined within SIGNCCL_TIMEOUT"});
}

void Member::greet(asio::ip::tcp::socket socket) {
  is_connecting_ = false;
  connection_ = std::make_shared<Connection>(std::move(socket));
  connection_->trust();
  connection_->start(
      [self = shared_from_this()](MessageType type, std::string_view payload) { self->onFrame(type, payload); },
      [self = shared_from_this()](const std::string& reason) {
        try {
          self->onClose(reason);
        } catch (const std::exception&) {
          self->setFailure({signcclRemoteError, "out of memory"});  // rather than wait forever
        }
      });
  HelloMessage hello;
  hello.secret = options_.point.secret;
  hello.rank = options_.rank;
  hello.nranks = options_.nranks;
  hello.version = SIGNCCL_VERSION_STRING;
  hello.info = options_.info;
  if (options_.on_connected) options_.on_connected(hello.info, connection_->localAddress());
  hello.settings = options_.settings;
  connection_->send(MessageType::kHello, encode(hello));
  if (failed()) connection_->send(MessageType::kFailure, encode(failure()));  // there was nobody to tell it to before
}

void Member::onFrame(MessageType type, std::string_view payload) {
  switch (type) {
    case MessageType::kRoster:
      if (record_.setRoster(decodeRoster(payload))) options_.on_address_wanted(*this);
      return;
    case MessageType::kFailure:
      return onFailure(payload);
    case MessageType::kHeartbeat:
      return;
    case MessageType::kAllAnnounced:
      all_announced_.store(decodeNumber(payload) + 1, std::memory_order_release);
      return;
    case MessageType::kGathered:
      return record_.setGathered(decodeGathered(payload));
    case MessageType::kLeft:
      if (const auto failure = record_.setLeft(decodeLeft(payload), ended_.load())) fail(*failure);
      return;
    case MessageType::kAllLeft:
      return record_.setAllLeft();
    case MessageType::kMissing:
      return record_.setMissing(decodeMissing(payload));
    default:
      WireReader::fail("its type is none that a hub sends");
  }
}

asio::ip::address Member::reachedAt() const {
  if (!connection_) return {};
  if (!connection_->staysInHost()) return connection_->localAddress();
  for (const RankInfo& one : ranks()) {
    asio::error_code malformed;
    const asio::ip::address address = asio::ip::make_address(one.hub_address, malformed);
    if (!malformed) return address;
  }
  return connection_->localAddress();  // all ranks are on this host
}

void Member::onFailure(std::string_view payload) {
  hub_has_failed_ = true;
  Failure failure = decodeFailure(payload);
  // A rank that was given another number of ranks gets the failure of the real group, whose ranks may be out of its
  // range.
  if (!areRanks(failure.gone, nranks())) failure.gone.clear();
  setFailure(failure);
}

void Member::onClose(const std::string& reason) {
  connection_ = nullptr;
  if (!record_.setDisconnected()) return;
  const std::vector<Rank> hub_ranks = record_.ranksOfHub();
  const std::string who = hub_ranks.empty() ? "the process at " + toText(options_.point.endpoints())
                                            : rankNames(hub_ranks) + ", in whose process the ranks meet,";
  const std::string& why = ranks().empty() ? options_.why_dropped : std::string();
  setFailure({signcclRemoteError,
              who + " died or cannot be reached: the control connection of rank " + std::to_string(rank()) + ": " +
                  reason + why,
              Failure::Scope::kGroup, hub_ranks});
}

void Member::send(MessageType type, std::string payload) {
  asio::post(context_, [self = shared_from_this(), type, payload = std::move(payload)] {
    if (self->connection_) self->connection_->send(type, payload);
  });
}

void Member::scheduleTick() {
  timer_.expires_after(kTick);
  timer_.async_wait([self = shared_from_this()](asio::error_code error) {
    if (!error) self->tick();
  });
}

void Member::tick() {
  if (closed_) return;
  scheduleTick();  // first, since what follows may run out of memory
  tellOverdue();
  if (!connection_) return;
  announceIfLate();
  if (++ticks_ % kTicksPerHeartbeat == 0 && connection_->idle()) {
    connection_->send(MessageType::kHeartbeat, encodeNumber(record_.begun(ended())));
  }
}

void Member::tellOverdue() {
  const std::shared_ptr<Connection> connection = connection_;
  if (connection && overdue_.failure.load()) {
    connection->send(MessageType::kFailure, encode(failure()));
    overdue_.failure.store(false);
  }
  if (connection && overdue_.leave.load()) {
    connection->send(MessageType::kLeave, encodeNumber(record_.begun(ended())));
    overdue_.leave.store(false);
  }
  if (overdue_.close.load()) closeNow();
}

void Member::announceIfLate() {
  const auto announcement = record_.tick(ended());
  if (!announcement) return;
  connection_->send(MessageType::kHeartbeat, encodeNumber(announcement->exchange + 1));
  connection_->send(MessageType::kAnnounce, encode(*announcement));
}

void Member::begin(std::uint64_t exchange, const std::string& signature, bool at_once) {
  record_.begin(exchange, signature, at_once);
  if (at_once) send(MessageType::kAnnounce, encode(AnnounceMessage{exchange, signature}));
  record_.throwIfLeft(exchange);
}

bool Member::allAnnounced(std::uint64_t exchange) const {
  return all_announced_.load(std::memory_order_acquire) > exchange;
}

std::vector<Rank> Member::missing(std::uint64_t exchange) {
  send(MessageType::kQuery, encodeNumber(exchange));
  const auto answer = record_.awaitMissing(exchange, std::chrono::steady_clock::now() + kAnswerTime);
  return answer ? *answer : record_.ranksOfHub();
}

/// Waits by `wait(deadline)`. When the deadline passes, asks the hub to fail the group with the names of those who are
/// late; the group has failed afterwards if what is waited for has not come.
template <typename Wait>
void Member::await(Deadline deadline, const GatheringId& overdue, const Wait& wait) {
  if (!wait(deadline)) {
    send(MessageType::kOverdue, encode(overdue));
    if (!wait(std::chrono::steady_clock::now() + kAnswerTime)) {
      fail({signcclTimeout,
            "rank " + std::to_string(rank()) + " timed out waiting for an answer of the process at " +
                toText(options_.point.endpoints()) + ", where the ranks meet",
            Failure::Scope::kGroup, record_.ranksOfHub()});
    }
  }
}

void Member::awaitReady(Deadline deadline) {
  await(deadline, kAddressGathering, [&](Deadline longest) { return record_.awaitReady(longest); });
  record_.throwIfFailed();
}

void Member::gather(const GatheringId& id, std::string part) {
  send(MessageType::kGather, encode(GatherMessage{id, std::move(part)}));
}

std::vector<std::string> Member::awaitGathered(const GatheringId& id, Deadline deadline) {
  await(deadline, id, [&](Deadline longest) { return record_.awaitGathered(id, longest); });
  // Parts that are here count even if the group has failed meanwhile: ranks that are faster may end after a gathering.
  if (auto parts = record_.takeGathered(id)) return *std::move(parts);
  // A rank that left gives no part, and the hub that would say so may be gone.
  if (const auto gone = record_.firstLeft()) fail(leftBeforeGathering(*gone, id.purpose, rank()));
  awaitTold();
  throw FailureError(failure());
}

void Member::setFailure(const Failure& failure) noexcept {
  if (!record_.setFailure(failure)) return;
  std::shared_ptr<Member> other;
  {
    const std::lock_guard lock(passing_mutex_);
    other = passes_failures_to_.lock();
  }
  if (other) passFailure(*other);
}

void Member::passFailuresTo(const std::shared_ptr<Member>& other) noexcept {
  {
    const std::lock_guard lock(passing_mutex_);
    passes_failures_to_ = other;
  }
  if (other && failed()) passFailure(*other);
}

void Member::passFailure(Member& other) const noexcept {
  Failure passed;
  record_.copyFailureTo(passed);
  passed.gone.clear();
  other.fail(passed);
}

void Member::fail(const Failure& failure) noexcept {
  // Sent first: a thread that learns of the failure here may close the connection at once, and the others would learn
  // of a death instead of the cause.
  bool is_sent = false;
  try {
    send(MessageType::kFailure, encode(failure));
    is_sent = true;
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): a tick sends it
  }
  setFailure(failure);
  if (!is_sent) overdue_.failure.store(true);
}

void Member::leave() noexcept {
  if (!record_.setLeaving()) return;
  try {
    send(MessageType::kLeave, encodeNumber(record_.begun(ended())));
  } catch (const std::exception&) {
    overdue_.leave.store(true);
  }
}

/// In the control thread.
bool Member::hasTold() const {
  if (failed() && is_connecting_) return false;
  if (connection_ && !connection_->idle()) return false;
  // The hub's word that the group has failed is its receipt: what lies in a socket is lost if the process ends while
  // something lies unread in it.
  if (connection_ && failed() && !hub_has_failed_) return false;
  return Hub::haveToldAll(context_, options_.point);
}

void Member::awaitTold() noexcept {
  const auto deadline = std::chrono::steady_clock::now() + kAnswerTime;
  if (controlThreadHasEnded()) return;
  try {
    for (bool has_told = false; !has_told && std::chrono::steady_clock::now() < deadline;) {
      const auto answer = std::make_shared<std::promise<bool>>();
      std::future<bool> told = answer->get_future();
      asio::post(context_, [self = shared_from_this(), answer] { answer->set_value(self->hasTold()); });
      if (told.wait_until(deadline) != std::future_status::ready) return;
      has_told = told.get();
      if (!has_told) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): without memory nobody can wait for it
  }
}

void Member::close() noexcept {
  try {
    asio::post(context_, [self = shared_from_this()] { self->closeNow(); });
  } catch (const std::exception&) {
    overdue_.close.store(true);
  }
}

void Member::closeNow() {
  closed_ = true;
  is_connecting_ = false;
  timer_.cancel();
  connector_->stop();
  if (connection_) connection_->closeWhenSent();
  connection_ = nullptr;
}

}  // namespace signccl
