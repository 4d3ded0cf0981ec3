#include "control/member.h"

#include <algorithm>
#include <exception>
#include <utility>

#include <asio/post.hpp>

#include "base/error.h"
#include "control/control_thread.h"
#include "control/failures.h"
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
  return {.address = options.point.address, .may_be_early = options.may_be_early, .rank = options.rank};
}

}  // namespace

Member::Member(asio::io_context& context, MemberOptions options)
    : context_(context),
      options_(std::move(options)),
      connector_(std::make_shared<Connector>(context, connectorOptions(options_))),
      timer_(context),
      exchanges_(options_.rank, options_.nranks) {}

std::shared_ptr<Member> Member::join(MemberOptions options) {
  auto member = std::make_shared<Member>(controlContext(), std::move(options));
  asio::post(member->context_, [member] { member->connect(); });
  return member;
}

void Member::connect() {
  if (closed_) return;
  scheduleTick();
  connector_->start([self = shared_from_this()](asio::ip::tcp::socket socket) { self->greet(std::move(socket)); },
                    [self = shared_from_this()] { self->onRefused(); });
}

void Member::onRefused() {
  setFailure({signcclRemoteError, "rank " + std::to_string(rank()) + " found nobody at " +
                                      toText(options_.point.address) +
                                      ", where the ranks meet: the process that made commId is gone, all ranks had "
                                      "joined already, or none had for as long as SIGNCCL_TIMEOUT there"});
}

void Member::greet(asio::ip::tcp::socket socket) {
  if (failed()) return;
  connection_ = std::make_shared<Connection>(std::move(socket));
  connection_->trust();
  connection_->start(
      [self = shared_from_this()](MessageType type, std::string_view payload) { self->onFrame(type, payload); },
      [self = shared_from_this()](const std::string& reason) {
        try {
          self->onClose(reason);
        } catch (const std::exception&) {
          self->setFailure({signcclRemoteError, "out of memory"});  // rather than wait for ever
        }
      });
  HelloMessage hello;
  hello.secret = options_.point.secret;
  hello.rank = options_.rank;
  hello.nranks = options_.nranks;
  hello.version = SIGNCCL_VERSION_STRING;
  hello.info = options_.info;
  hello.settings = options_.settings;
  connection_->send(MessageType::kHello, encode(hello));
}

void Member::onFrame(MessageType type, std::string_view payload) {
  switch (type) {
    case MessageType::kRoster:
      return onRoster(payload);
    case MessageType::kFailure:
      return onFailure(payload);
    case MessageType::kHeartbeat:
      return;
    case MessageType::kAllAnnounced:
      all_announced_.store(decodeNumber(payload) + 1, std::memory_order_release);
      return;
    case MessageType::kGathered:
      return onGathered(payload);
    case MessageType::kLeft:
      return onLeft(payload);
    case MessageType::kAllLeft: {
      const std::lock_guard lock(mutex_);
      all_left_ = true;
      changed_.notify_all();
      return;
    }
    case MessageType::kMissing: {
      MissingMessage missing = decodeMissing(payload);
      const std::lock_guard lock(mutex_);
      missing_ = std::move(missing);
      changed_.notify_all();
      return;
    }
    default:
      WireReader::fail("its type is none that a hub sends");
  }
}

void Member::onRoster(std::string_view payload) {
  RosterMessage roster = decodeRoster(payload);
  if (roster.ranks.size() != static_cast<std::size_t>(nranks())) WireReader::fail("it names another number of ranks");
  bool is_ready = false;
  {
    const std::lock_guard lock(mutex_);
    if (!ranks_.empty()) WireReader::fail("the roster comes a second time");
    ranks_ = std::move(roster.ranks);
    group_ = roster.group;
    hub_process_ = roster.hub_process;
    ready_ = is_ready = inOneProcess();
    changed_.notify_all();
  }
  if (!is_ready) options_.on_address_wanted(*this);
}

bool Member::inOneProcess() const {
  return std::ranges::all_of(ranks_, [&](const RankInfo& one) { return one.process == options_.info.process; });
}

void Member::onFailure(std::string_view payload) {
  Failure failure = decodeFailure(payload);
  // A rank that takes the group to be of another size hears the failure of the real one, whose ranks it may not have.
  if (!areRanks(failure.gone, nranks())) failure.gone.clear();
  setFailure(failure);
}

void Member::onGathered(std::string_view payload) {
  GatheredMessage gathered = decodeGathered(payload);
  if (gathered.parts.size() != static_cast<std::size_t>(nranks())) {
    WireReader::fail("it has parts of another number of ranks");
  }
  const std::lock_guard lock(mutex_);
  if (ranks_.empty()) WireReader::fail("it comes before the roster");
  if (gathered.id == kAddressGathering) {
    if (ready_) WireReader::fail("the addresses come a second time");
    addresses_ = std::move(gathered.parts);
    ready_ = true;
  } else {
    gathered_[gathered.id] = std::move(gathered.parts);
  }
  changed_.notify_all();
}

void Member::onLeft(std::string_view payload) {
  const LeftMessage left = decodeLeft(payload);
  if (!areRanks({left.rank}, nranks())) WireReader::fail("a rank is out of range");
  std::optional<Failure> failure;
  {
    const std::lock_guard lock(mutex_);
    failure = exchanges_.leave(left, ended_.load());
    some_left_.store(true, std::memory_order_release);
    changed_.notify_all();
  }
  if (failure) fail(*failure);
}

void Member::onClose(const std::string& reason) {
  connection_ = nullptr;
  const std::vector<Rank> hub_ranks = ranksOfHub();
  {
    const std::lock_guard lock(mutex_);
    if (all_left_ || has_left_ || exchanges_.hasAnyLeft(hub_ranks)) {
      all_left_ = true;  // as far as anybody can still find out
      changed_.notify_all();
      return;
    }
  }
  const std::string who = hub_ranks.empty() ? "the process at " + toText(options_.point.address)
                                            : "rank " + rankList(hub_ranks) + ", in whose process the ranks meet,";
  setFailure(
      {signcclRemoteError,
       who + " died or cannot be reached: the control connection of rank " + std::to_string(rank()) + ": " + reason,
       Failure::Scope::kGroup, hub_ranks});
}

std::vector<Rank> Member::ranksOfHub() const {
  const std::lock_guard lock(mutex_);
  std::vector<Rank> found;
  for (std::size_t one = 0; one < ranks_.size(); ++one) {
    if (ranks_[one].process == hub_process_) found.push_back(static_cast<Rank>(one));
  }
  return found;
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
    const std::lock_guard lock(mutex_);
    connection_->send(MessageType::kHeartbeat, encodeNumber(exchanges_.begun(ended())));
  }
}

void Member::tellOverdue() {
  const std::shared_ptr<Connection> connection = connection_;
  if (connection && overdue_.failure.load()) {
    connection->send(MessageType::kFailure, encode(failure()));
    overdue_.failure.store(false);
  }
  if (connection && overdue_.leave.load()) {
    const std::lock_guard lock(mutex_);
    connection->send(MessageType::kLeave, encodeNumber(exchanges_.begun(ended())));
    overdue_.leave.store(false);
  }
  if (overdue_.close.load()) closeNow();
}

void Member::announceIfLate() {
  const std::lock_guard lock(mutex_);
  const auto announcement = exchanges_.tick(ended());
  if (!announcement) return;
  connection_->send(MessageType::kHeartbeat, encodeNumber(announcement->exchange + 1));
  connection_->send(MessageType::kAnnounce, encode(*announcement));
}

void Member::begin(std::uint64_t exchange, const std::string& signature, bool at_once) {
  const std::lock_guard lock(mutex_);
  throwIfFailedLocked();
  exchanges_.begin(exchange, signature, at_once);
  if (at_once) send(MessageType::kAnnounce, encode(AnnounceMessage{exchange, signature}));
  if (auto failure = exchanges_.failureOf(exchange)) throw FailureError(std::move(*failure));
}

void Member::throwIfLeft(std::uint64_t exchange) const {
  if (!some_left_.load(std::memory_order_acquire)) return;
  const std::lock_guard lock(mutex_);
  if (auto failure = exchanges_.failureOf(exchange)) throw FailureError(std::move(*failure));
}

bool Member::allAnnounced(std::uint64_t exchange) const {
  return all_announced_.load(std::memory_order_acquire) > exchange;
}

std::vector<Rank> Member::missing(std::uint64_t exchange) {
  std::unique_lock lock(mutex_);
  missing_.reset();
  send(MessageType::kQuery, encodeNumber(exchange));
  const bool answered =
      changed_.wait_for(lock, kAnswerTime, [&] { return failed() || (missing_ && missing_->exchange == exchange); });
  if (answered && missing_) return missing_->ranks;
  lock.unlock();
  return answered ? std::vector<Rank>{} : ranksOfHub();
}

/// Waits for `done`, which counts even if the group has failed meanwhile: ranks that are faster may end after a
/// gathering whose parts are here already. At the deadline, asks the hub to fail the group with the names of those who
/// are late.
template <typename Done>
void Member::await(Deadline deadline, const GatheringId& overdue, const Done& done) {
  std::unique_lock lock(mutex_);
  const auto ended = [&] { return failed() || done(); };
  if (!changed_.wait_until(lock, deadline, ended)) {
    send(MessageType::kOverdue, encode(overdue));
    if (!changed_.wait_for(lock, kAnswerTime, ended)) {
      lock.unlock();
      fail({signcclTimeout,
            "rank " + std::to_string(rank()) + " timed out waiting for an answer of the process at " +
                toText(options_.point.address) + ", where the ranks meet",
            Failure::Scope::kGroup, ranksOfHub()});
      lock.lock();
    }
  }
  if (!done()) throwIfFailedLocked();
}

void Member::awaitReady(Deadline deadline) {
  await(deadline, kAddressGathering, [&] { return ready_ && !failed(); });
}

void Member::gather(const GatheringId& id, std::string part) {
  send(MessageType::kGather, encode(GatherMessage{id, std::move(part)}));
}

std::vector<std::string> Member::awaitGathered(const GatheringId& id, Deadline deadline) {
  // A rank that left gives no part, and the hub that would say so may be gone. The parts of a gathering that it took
  // part in came before the word that it left.
  await(deadline, id, [&] { return gathered_.contains(id) || some_left_.load(std::memory_order_relaxed); });
  std::unique_lock lock(mutex_);
  if (auto gathered = gathered_.extract(id)) return std::move(gathered.mapped());
  const Rank gone = exchanges_.firstLeft().value_or(0);
  lock.unlock();
  fail(leftBeforeGathering(gone, id.purpose, rank()));
  throw FailureError(failure());
}

Failure Member::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void Member::setFailure(const Failure& failure) noexcept {
  std::shared_ptr<Member> other;
  {
    const std::lock_guard lock(mutex_);
    if (failed()) return;
    assignFailure(failure_, failure);
    failed_.store(true, std::memory_order_release);
    changed_.notify_all();
    other = passes_failures_to_.lock();
  }
  if (other) passFailure(*other);
}

void Member::passFailuresTo(const std::shared_ptr<Member>& other) noexcept {
  {
    const std::lock_guard lock(mutex_);
    passes_failures_to_ = other;
  }
  if (other && failed()) passFailure(*other);
}

void Member::passFailure(Member& other) const noexcept {
  Failure passed;
  {
    const std::lock_guard lock(mutex_);
    assignFailure(passed, failure_);
  }
  passed.gone.clear();
  other.fail(passed);
}

void Member::fail(const Failure& failure) noexcept {
  setFailure(failure);
  try {
    send(MessageType::kFailure, encode(failure));
  } catch (const std::exception&) {
    overdue_.failure.store(true);
  }
}

void Member::throwIfFailedLocked() const {
  if (failed()) throw FailureError(failure_);
}

void Member::leave() noexcept {
  const std::lock_guard lock(mutex_);
  if (has_left_) return;
  has_left_ = true;
  try {
    send(MessageType::kLeave, encodeNumber(exchanges_.begun(ended())));
  } catch (const std::exception&) {
    overdue_.leave.store(true);
  }
}

bool Member::allLeft() const {
  const std::lock_guard lock(mutex_);
  return all_left_;
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
  timer_.cancel();
  connector_->stop();
  if (connection_) connection_->closeWhenSent();
  connection_ = nullptr;
}

}  // namespace signccl
