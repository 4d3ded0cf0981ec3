#include "control/member.h"

#include <algorithm>
#include <utility>

#include <asio/post.hpp>

#include "base/error.h"
#include "base/log.h"
#include "control/control_thread.h"
#include "control/failures.h"
#include "control/gathering.h"
#include "control/hub.h"
#include "control/wire.h"
#include "signccl/version.h"
#include "topology/host_identity.h"

namespace signccl {
namespace {

constexpr std::chrono::milliseconds kTick{100};
constexpr int kTicksPerHeartbeat = static_cast<int>(kHeartbeatInterval / kTick);

/// An exchange under way at so many ticks in turn is announced, so that the hub can tell whether the ranks disagree.
constexpr int kTicksBeforeAnnounce = 3;

/// One attempt to connect, the pause after the first, and the longest pause.
constexpr std::chrono::seconds kConnectTime{3};
constexpr std::chrono::milliseconds kFirstPause{20};
constexpr std::chrono::milliseconds kLongestPause{500};
/// Attempts at a hub that must be listening already: more than one, since a full queue refuses too.
constexpr int kAttemptsIfListening = 4;

/// How long an answer of the hub may take, beyond a deadline that has passed.
constexpr std::chrono::seconds kAnswerTime{1};

}  // namespace

Member::Member(asio::io_context& context, MemberOptions options)
    : context_(context),
      options_(std::move(options)),
      socket_(context),
      timer_(context),
      connect_timer_(context),
      left_(static_cast<std::size_t>(options_.nranks)) {}

std::shared_ptr<Member> Member::join(MemberOptions options) {
  auto member = std::make_shared<Member>(controlContext(), std::move(options));
  asio::post(member->context_, [member] { member->connect(); });
  return member;
}

void Member::connect() {
  if (closed_ || failed()) return;
  ++attempts_;
  socket_ = asio::ip::tcp::socket(context_);
  connect_timer_.expires_after(kConnectTime);
  connect_timer_.async_wait([self = shared_from_this()](asio::error_code error) {
    asio::error_code ignored;
    if (!error && !self->connection_) self->socket_.close(ignored);
  });
  socket_.async_connect(options_.point.address, [self = shared_from_this()](asio::error_code error) {
    self->connect_timer_.cancel();
    if (self->closed_) return;
    if (!error) return self->greet(std::move(self->socket_));
    if (error == asio::error::connection_refused && !self->options_.may_be_early &&
        self->attempts_ >= kAttemptsIfListening) {
      return self->setFailure(
          {signcclRemoteError, "rank " + std::to_string(self->rank()) + " found nobody at " +
                                   toText(self->options_.point.address) +
                                   ", where the ranks meet: the process that made commId is gone, or "
                                   "all ranks had joined already"});
    }
    self->retry(error.message());
  });
}

void Member::retry(const std::string& reason) {
  const auto pause = std::min(kFirstPause * (1 << std::min(attempts_, 10)), kLongestPause);
  log(LogLevel::kTrace, Subsystem::kBootstrap, rank(), "cannot connect to ", toText(options_.point.address), ": ",
      reason, "; tries again");
  connect_timer_.expires_after(pause);
  connect_timer_.async_wait([self = shared_from_this()](asio::error_code error) {
    if (!error) self->connect();
  });
}

void Member::greet(asio::ip::tcp::socket socket) {
  connection_ = std::make_shared<Connection>(std::move(socket));
  connection_->trust();
  connection_->start(
      [self = shared_from_this()](MessageType type, std::string_view payload) { self->onFrame(type, payload); },
      [self = shared_from_this()](const std::string& reason) { self->onClose(reason); });
  HelloMessage hello;
  hello.secret = options_.point.secret;
  hello.rank = options_.rank;
  hello.nranks = options_.nranks;
  hello.version = SIGNCCL_VERSION_STRING;
  hello.ucx_version = options_.ucx_version;
  hello.info = options_.info;
  hello.settings = options_.settings;
  connection_->send(MessageType::kHello, encode(hello));
  scheduleTick();
}

void Member::onFrame(MessageType type, std::string_view payload) {
  switch (type) {
    case MessageType::kRoster:
      return onRoster(payload);
    case MessageType::kFailure:
      return setFailure(decodeFailure(payload));
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
  if (roster.ranks.size() != left_.size()) WireReader::fail("it names another number of ranks");
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
  if (is_ready) return;
  if (options_.ucx_version.empty()) {
    return fail({signcclInvalidUsage, "the ranks are in several processes, and SignCCL was built without UCX on rank " +
                                          std::to_string(rank())});
  }
  try {
    connection_->send(MessageType::kGather, encode(GatherMessage{kAddressGathering, options_.make_address()}));
  } catch (const Error& error) {
    fail({error.code(), "rank " + std::to_string(rank()) + ": " + error.what()});
  }
}

bool Member::inOneProcess() const {
  return std::ranges::all_of(ranks_, [&](const RankInfo& one) { return one.process == options_.info.process; });
}

void Member::onGathered(std::string_view payload) {
  GatheredMessage gathered = decodeGathered(payload);
  if (gathered.parts.size() != left_.size()) WireReader::fail("it has parts of another number of ranks");
  const std::lock_guard lock(mutex_);
  if (ranks_.empty()) WireReader::fail("it comes before the roster");
  if (gathered.number == kAddressGathering) {
    if (ready_) WireReader::fail("the addresses come a second time");
    addresses_ = std::move(gathered.parts);
    ready_ = true;
  } else {
    gathered_[gathered.number] = std::move(gathered.parts);
  }
  changed_.notify_all();
}

void Member::onLeft(std::string_view payload) {
  const LeftMessage left = decodeLeft(payload);
  if (left.rank < 0 || left.rank >= nranks()) WireReader::fail("a rank is out of range");
  std::optional<Failure> failure;
  {
    const std::lock_guard lock(mutex_);
    left_[static_cast<std::size_t>(left.rank)] = left.begun;
    some_left_.store(true, std::memory_order_release);
    changed_.notify_all();
    if (begun_ > left.begun && ended_.load() < begun_) failure = leftBeforeExchange(left.rank, begun_ - 1, rank());
  }
  if (failure) fail(*failure);
}

void Member::onClose(const std::string& reason) {
  connection_ = nullptr;
  const std::vector<Rank> hub_ranks = ranksOfHub();
  {
    const std::lock_guard lock(mutex_);
    const bool hub_is_done =
        std::ranges::any_of(hub_ranks, [&](Rank one) { return left_[static_cast<std::size_t>(one)].has_value(); });
    if (all_left_ || has_left_ || hub_is_done) {
      all_left_ = true;  // as far as anybody can still find out
      changed_.notify_all();
      return;
    }
  }
  const std::string who = hub_ranks.empty() ? "the process at " + toText(options_.point.address)
                                            : "rank " + rankList(hub_ranks) + ", in whose process the ranks meet,";
  setFailure({signcclRemoteError, who + " died or cannot be reached: the control connection of rank " +
                                      std::to_string(rank()) + ": " + reason});
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

void Member::tick() {
  if (!connection_) return;
  announceIfLate();
  if (++ticks_ % kTicksPerHeartbeat == 0 && connection_->idle()) {
    const std::lock_guard lock(mutex_);
    connection_->send(MessageType::kHeartbeat, encodeNumber(begunLocked()));
  }
  scheduleTick();
}

void Member::scheduleTick() {
  timer_.expires_after(kTick);
  timer_.async_wait([self = shared_from_this()](asio::error_code error) {
    if (!error) self->tick();
  });
}

void Member::announceIfLate() {
  const std::lock_guard lock(mutex_);
  if (announced_ || ended_.load(std::memory_order_relaxed) >= begun_) return;
  if (++ticks_under_way_ < kTicksBeforeAnnounce) return;
  announced_ = true;
  connection_->send(MessageType::kHeartbeat, encodeNumber(begun_));
  connection_->send(MessageType::kAnnounce, encode(AnnounceMessage{begun_ - 1, current_}));
}

void Member::begin(std::uint64_t exchange, const ExchangeSignature& signature, bool at_once) {
  const std::lock_guard lock(mutex_);
  throwIfFailedLocked();
  begun_ = exchange + 1;
  ticks_under_way_ = 0;
  current_ = signature;
  announced_ = at_once;
  if (at_once) send(MessageType::kAnnounce, encode(AnnounceMessage{exchange, signature}));
  throwIfLeftLocked(exchange);
}

void Member::throwIfLeft(std::uint64_t exchange) const {
  if (!some_left_.load(std::memory_order_acquire)) return;
  const std::lock_guard lock(mutex_);
  throwIfLeftLocked(exchange);
}

void Member::throwIfLeftLocked(std::uint64_t exchange) const {
  for (std::size_t other = 0; other < left_.size(); ++other) {
    if (!left_[other] || *left_[other] > exchange) continue;
    const Failure failure = leftBeforeExchange(static_cast<Rank>(other), exchange, rank());
    throw Error(failure.code, failure.message);
  }
}

/// Exchanges that this rank has begun, but for one that was begun just now and is not noted yet.
std::uint64_t Member::begunLocked() const { return std::max(begun_, ended_.load(std::memory_order_relaxed)); }

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
void Member::await(Deadline deadline, std::uint64_t overdue, const Done& done) {
  std::unique_lock lock(mutex_);
  const auto ended = [&] { return failed() || done(); };
  if (!changed_.wait_until(lock, deadline, ended)) {
    send(MessageType::kOverdue, encodeNumber(overdue));
    if (!changed_.wait_for(lock, kAnswerTime, ended)) {
      lock.unlock();
      fail({signcclTimeout, "rank " + std::to_string(rank()) + " waited in vain for an answer of the process at " +
                                toText(options_.point.address) + ", where the ranks meet"});
      lock.lock();
    }
  }
  if (!done()) throwIfFailedLocked();
}

void Member::awaitReady(Deadline deadline) {
  await(deadline, kJoining, [&] { return ready_ && !failed(); });
}

void Member::gather(std::uint64_t number, std::string part) {
  send(MessageType::kGather, encode(GatherMessage{number, std::move(part)}));
}

std::vector<std::string> Member::awaitGathered(std::uint64_t number, Deadline deadline) {
  // A rank that left gives no part, and the hub that would say so may be gone. The parts of a gathering that it took
  // part in came before the word that it left.
  await(deadline, number, [&] { return gathered_.contains(number) || some_left_.load(std::memory_order_relaxed); });
  std::unique_lock lock(mutex_);
  if (auto gathered = gathered_.extract(number)) return std::move(gathered.mapped());
  const auto gone = std::ranges::find_if(left_, [](const auto& one) { return one.has_value(); });
  lock.unlock();
  fail(leftBeforeGathering(number, static_cast<Rank>(gone - left_.begin()), rank()));
  const Failure first = failure();
  throw Error(first.code, first.message);
}

Failure Member::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void Member::setFailure(const Failure& failure) {
  std::shared_ptr<Member> other;
  {
    const std::lock_guard lock(mutex_);
    if (failed()) return;
    failure_ = failure;
    failed_.store(true, std::memory_order_release);
    changed_.notify_all();
    other = passes_failures_to_.lock();
  }
  if (other) other->fail(failure);
}

void Member::passFailuresTo(const std::shared_ptr<Member>& other) {
  {
    const std::lock_guard lock(mutex_);
    passes_failures_to_ = other;
  }
  if (other && failed()) other->fail(failure());
}

void Member::fail(const Failure& failure) noexcept {
  setFailure(failure);
  send(MessageType::kFailure, encode(failure));
}

void Member::throwIfFailedLocked() const {
  if (failed()) throw Error(failure_.code, failure_.message);
}

void Member::leave() noexcept {
  const std::lock_guard lock(mutex_);
  if (has_left_) return;
  has_left_ = true;
  send(MessageType::kLeave, encodeNumber(begunLocked()));
}

bool Member::allLeft() const {
  const std::lock_guard lock(mutex_);
  return all_left_;
}

void Member::close() noexcept {
  asio::post(context_, [self = shared_from_this()] {
    self->closed_ = true;
    self->timer_.cancel();
    self->connect_timer_.cancel();
    asio::error_code ignored;
    self->socket_.close(ignored);
    if (self->connection_) self->connection_->closeWhenSent();
    self->connection_ = nullptr;
  });
}

}  // namespace signccl
