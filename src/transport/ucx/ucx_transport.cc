#include "transport/ucx/ucx_transport.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/per_thread.h"
#include "transport/ucx/ucx_environment.h"

namespace signccl {
namespace {

using std::chrono::steady_clock;

/// The one kind of active message that we send.
constexpr unsigned kMessageId = 0;

/// Turns of the worker in one call of progress(), as long as there is something to do but nothing to tell.
constexpr int kWorkerTurns = 8;

/// How long a broken connection may stay unreported. Messages that the peer sent before it closed the connection
/// still arrive meanwhile, and a peer that died is reported by the control plane, with the cause.
constexpr std::chrono::milliseconds kGrace{300};

/// Makes the next push_back() one that does not allocate.
template <typename T>
void makeRoom(std::vector<T>& list) {
  if (list.size() == list.capacity()) list.reserve(2 * list.size() + 8);
}

}  // namespace

UcxTransport::UcxTransport(std::shared_ptr<UcxContext> context, Rank rank, int nranks)
    : rank_(rank),
      in_use_(std::make_unique<InUse>(std::move(context))),
      ucx_(in_use_->worker.ucx()),
      worker_(in_use_->worker.get()),
      address_(in_use_->worker.version() + ' ' + in_use_->worker.address()),
      peers_(static_cast<std::size_t>(nranks)) {
  for (Peer& peer : peers_) peer.owner = this;
  in_use_->worker.setHandler(kMessageId, onMessage, this);
}

UcxTransport::~UcxTransport() { close(); }

void UcxTransport::setAddresses(std::vector<std::string> addresses) {
  SIGNCCL_ASSERT(addresses.size() == peers_.size());
  const std::string& version = in_use_->worker.version();
  for (std::size_t rank = 0; rank < peers_.size(); ++rank) {
    const std::size_t blank = addresses[rank].find(' ');
    if (blank == std::string::npos) {
      throw Error(signcclInternalError, "the address of rank " + std::to_string(rank) + ", of " +
                                            std::to_string(addresses[rank].size()) +
                                            " bytes, does not begin with a version of UCX");
    }
    peers_[rank].ucx_version = addresses[rank].substr(0, blank);
    peers_[rank].address = addresses[rank].substr(blank + 1);
    if (peers_[rank].ucx_version == version) continue;
    log(LogLevel::kWarn, Subsystem::kBootstrap, rank_,
        "the ranks have different versions of UCX, which may not understand each other: ", version, " on rank ", rank_,
        " and ", peers_[rank].ucx_version, " on rank ", rank);
  }
}

UcxTransport::Peer& UcxTransport::connectedPeer(Rank rank) {
  Peer& peer = peers_[static_cast<std::size_t>(rank)];
  if (peer.endpoint != nullptr) return peer;
  ucp_ep_params_t params{};
  params.field_mask =
      UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.address = reinterpret_cast<const ucp_address_t*>(peer.address.data());
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler = {onBroken, &peer};
  const ucs_status_t status = ucx_.ucp_ep_create(worker_, &params, &peer.endpoint);
  if (status != UCS_OK) {
    peer.endpoint = nullptr;
    throw PeerError(rank_, rank, ucx_.ucs_status_string(status) + causesBeside(peer));
  }
  log(LogLevel::kTrace, Subsystem::kNet, rank_, "connects to rank ", rank);
  return peer;
}

void UcxTransport::send(Rank peer, Tag tag, ConstBytes bytes, Request& request) {
  request.peer = peer;
  request.transport.held = 0;
  Peer& target = connectedPeer(peer);
  Transfer& transfer = takeTransfer(request);
  transfer.header = {tag, rank_, request.note};
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  param.cb.send = onSent;
  param.user_data = &transfer;
  const ucs_status_ptr_t operation = ucx_.ucp_am_send_nbx(target.endpoint, kMessageId, &transfer.header, sizeof(Header),
                                                          bytes.data(), bytes.size(), &param);
  is_flushed_ = false;
  ++counters_.messages_sent;
  counters_.bytes_sent += bytes.size();
  ++target.outstanding;
  ++under_way_;
  if (operation == nullptr) {
    transferDone(transfer, UCS_OK);
  } else if (UCS_PTR_IS_ERR(operation)) {
    transferDone(transfer, UCS_PTR_STATUS(operation));
  }
}

void UcxTransport::recv(Rank peer, Tag tag, Bytes memory, Landing landing, Request& request) {
  request.peer = peer;
  request.transport.held = 0;
  ++peers_[static_cast<std::size_t>(peer)].outstanding;
  const Posted posted{peer, landing, memory, &request};
  if (std::optional<Arrival> arrival = matcher_.post(peer, tag, posted)) accept(posted, *arrival);
}

void UcxTransport::drop(const Arrival& arrival) noexcept {
  if (arrival.form != Form::kCopied) ucx_.ucp_am_data_release(worker_, arrival.data);
}

void UcxTransport::checkSize(const Posted& posted, const Arrival& arrival) const {
  if (arrival.size == posted.memory.size()) return;
  throw Error(signcclInternalError, "rank " + std::to_string(rank_) + " expected " +
                                        std::to_string(posted.memory.size()) + " bytes from rank " +
                                        std::to_string(posted.source) + " and got " + std::to_string(arrival.size));
}

/// Brings a message and its receive together. If it throws, the message is released.
void UcxTransport::accept(const Posted& posted, Arrival& arrival) {
  try {
    checkSize(posted, arrival);
    if (arrival.form == Form::kRendezvous) {
      startRendezvous(posted, arrival);
      return;
    }
    makeRoom(held_);
    makeRoom(spare_);
    makeRoom(completed_);
  } catch (...) {
    drop(arrival);
    throw;
  }
  deliver(posted, arrival);
}

/// Gives a message to its receive, for which there is room in every list.
void UcxTransport::deliver(const Posted& posted, Arrival& arrival) {
  const bool is_aligned = std::bit_cast<std::uintptr_t>(arrival.data) % alignof(std::uint64_t) == 0;
  if (arrival.form == Form::kHeld && posted.landing == Landing::kBorrow && is_aligned) {
    held_.push_back(arrival.data);
    posted.request->transport.held = std::bit_cast<std::uintptr_t>(arrival.data);
    finishReceive(*posted.request, arrival.note, {static_cast<const std::byte*>(arrival.data), arrival.size});
    return;
  }
  const void* const source = arrival.form == Form::kHeld ? arrival.data : arrival.copy.data();
  if (arrival.size > 0) std::memcpy(posted.memory.data(), source, arrival.size);
  if (arrival.form == Form::kHeld) {
    ucx_.ucp_am_data_release(worker_, arrival.data);
  } else {
    spare_.push_back(std::move(arrival.copy));
  }
  finishReceive(*posted.request, arrival.note, posted.memory);
}

void UcxTransport::startRendezvous(const Posted& posted, const Arrival& arrival) {
  Transfer& transfer = takeTransfer(*posted.request);
  posted.request->data = posted.memory;
  posted.request->note = arrival.note;
  is_flushed_ = false;  // its end is told to the sender
  ++under_way_;
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FLAG_NO_IMM_CMPL;
  param.cb.recv_am = onReceived;
  param.user_data = &transfer;
  const ucs_status_ptr_t operation =
      ucx_.ucp_am_recv_data_nbx(worker_, arrival.data, posted.memory.data(), arrival.size, &param);
  if (UCS_PTR_IS_ERR(operation)) {
    --under_way_;
    unused_transfers_.push_back(&transfer);
    breakPeer(peers_[static_cast<std::size_t>(posted.source)], UCS_PTR_STATUS(operation));
  }
}

void UcxTransport::finishReceive(Request& request, std::uint32_t note, ConstBytes data) {
  request.data = data;
  request.note = note;
  --peers_[static_cast<std::size_t>(request.peer)].outstanding;
  ++counters_.messages_received;
  counters_.bytes_received += data.size();
  completed_.push_back(&request);
}

UcxTransport::Transfer& UcxTransport::takeTransfer(Request& request) {
  if (unused_transfers_.empty()) {
    const std::size_t needed = in_use_->transfers.size() + 1;
    if (unused_transfers_.capacity() < needed) unused_transfers_.reserve(2 * needed);
    unused_transfers_.push_back(&in_use_->transfers.emplace_back());
  }
  Transfer& transfer = *unused_transfers_.back();
  unused_transfers_.pop_back();
  transfer.owner = this;
  transfer.request = &request;
  return transfer;
}

/// A send or a rendezvous is complete. One that failed stays outstanding, so that its peer is reported.
void UcxTransport::transferDone(Transfer& transfer, ucs_status_t status) {
  --under_way_;
  if (closing_) return;  // the caller's requests are gone
  unused_transfers_.push_back(&transfer);
  Peer& peer = peers_[static_cast<std::size_t>(transfer.request->peer)];
  if (status != UCS_OK) {
    breakPeer(peer, status);
    return;
  }
  --peer.outstanding;
  completed_.push_back(transfer.request);
}

void UcxTransport::onSent(void* operation, ucs_status_t status, void* transfer) noexcept {
  auto& done = *static_cast<Transfer*>(transfer);
  UcxTransport& owner = *done.owner;
  try {
    owner.transferDone(done, status);
  } catch (...) {
    owner.out_of_memory_ = true;
  }
  owner.ucx_.ucp_request_free(operation);
}

void UcxTransport::onReceived(void* operation, ucs_status_t status, std::size_t size, void* transfer) noexcept {
  UcxTransport& owner = *static_cast<Transfer*>(transfer)->owner;
  if (status == UCS_OK && !owner.closing_) {
    ++owner.counters_.messages_received;
    owner.counters_.bytes_received += size;
  }
  onSent(operation, status, transfer);
}

void UcxTransport::onBroken(void* peer, ucp_ep_h /*endpoint*/, ucs_status_t status) noexcept {
  auto& broken = *static_cast<Peer*>(peer);
  broken.owner->breakPeer(broken, status);
}

void UcxTransport::breakPeer(Peer& peer, ucs_status_t status) noexcept {
  if (peer.status == UCS_OK) peer.status = status;
  if (!broken_since_) broken_since_ = steady_clock::now();
}

ucs_status_t UcxTransport::onMessage(void* self, const void* header, std::size_t header_size, void* data,
                                     std::size_t size, const ucp_am_recv_param_t* param) noexcept {
  auto& transport = *static_cast<UcxTransport*>(self);
  if (transport.closing_) return UCS_OK;  // the memory of posted receives may be gone
  try {
    Header read{};
    if (header_size == sizeof read) std::memcpy(&read, header, sizeof read);
    const auto nranks = static_cast<Rank>(transport.peers_.size());
    if (header_size == sizeof read && read.source >= 0 && read.source < nranks) {
      return transport.take(read, data, size, param->recv_attr);
    }
    log(LogLevel::kWarn, Subsystem::kNet, transport.rank_, "dropped a message that no rank of this communicator sent");
  } catch (...) {
    transport.out_of_memory_ = true;
  }
  return UCS_OK;
}

/// What UCX lends only during its callback is copied at once; everything else is looked at after the worker's turn.
ucs_status_t UcxTransport::take(const Header& header, void* data, std::size_t size, std::uint64_t attributes) {
  Arrival arrival{header.source, Form::kCopied, header.tag, header.note, data, size, {}};
  if ((attributes & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0) {
    arrival.form = Form::kRendezvous;
  } else if ((attributes & UCP_AM_RECV_ATTR_FLAG_DATA) != 0) {
    arrival.form = Form::kHeld;
  } else {
    const std::optional<Posted> posted = matcher_.takePosted(header.source, header.tag);
    if (posted && posted->memory.size() == size) {
      if (size > 0) std::memcpy(posted->memory.data(), data, size);
      finishReceive(*posted->request, header.note, posted->memory);
      return UCS_OK;
    }
    // One that does not fit is met again after the turn, where the error can be thrown.
    if (posted) matcher_.post(header.source, header.tag, *posted);
    if (!spare_.empty()) {
      arrival.copy = std::move(spare_.back());
      spare_.pop_back();
    }
    const auto* const bytes = static_cast<const std::byte*>(data);
    arrival.copy.assign(bytes, bytes + size);
  }
  const bool is_kept = arrival.form != Form::kCopied;
  arrivals_.push_back(std::move(arrival));
  return is_kept ? UCS_INPROGRESS : UCS_OK;
}

void UcxTransport::matchArrivals() {
  for (Arrival& arrived : arrivals_) {
    // The end releases what is still in the list.
    if (const std::optional<Posted> posted = matcher_.takePosted(arrived.source, arrived.tag)) {
      Arrival arrival = std::exchange(arrived, {});
      accept(*posted, arrival);
    } else {
      matcher_.arrive(arrived.source, arrived.tag, std::move(arrived));
      arrived = {};
    }
  }
  arrivals_.clear();
}

void UcxTransport::progress(std::vector<Request*>& completed) {
  for (int turn = 0; turn < kWorkerTurns && ucx_.ucp_worker_progress(worker_) != 0; ++turn) {
    if (!completed_.empty() || !arrivals_.empty()) break;
  }
  if (out_of_memory_) {
    throw Error(signcclSystemError,
                "rank " + std::to_string(rank_) + " had no memory left when a message came or went");
  }
  if (!arrivals_.empty()) matchArrivals();
  if (!completed_.empty()) {
    completed.insert(completed.end(), completed_.begin(), completed_.end());
    completed_.clear();
  }
  if (broken_since_) throwIfBroken();
}

void UcxTransport::throwIfBroken() {
  if (steady_clock::now() - *broken_since_ < kGrace) return;
  for (std::size_t rank = 0; rank < peers_.size(); ++rank) {
    const Peer& peer = peers_[rank];
    if (peer.status == UCS_OK || peer.outstanding == 0) continue;
    throw PeerError(rank_, static_cast<Rank>(rank), ucx_.ucs_status_string(peer.status) + causesBeside(peer));
  }
}

/// What a lost connection may come from: that the peer has another UCX, or what the user asks of UCX.
std::string UcxTransport::causesBeside(const Peer& peer) const {
  const std::string& version = in_use_->worker.version();
  if (peer.ucx_version == version) return ucxVariablesOfUser();
  return " (it has UCX " + peer.ucx_version + ", rank " + std::to_string(rank_) + " has " + version +
         "; expected the same version on all ranks)";
}

/// Over tcp a message that the socket does not take at once stays in a buffer of UCX. A broken connection flushes
/// nothing any more, and is reported by progress().
bool UcxTransport::flush() {
  if (under_way_ > 0) return false;
  if (flush_ == nullptr) {
    if (is_flushed_) return true;
    is_flushed_ = true;
    const ucp_request_param_t param{};
    const ucs_status_ptr_t operation = ucx_.ucp_worker_flush_nbx(worker_, &param);
    if (!UCS_PTR_IS_PTR(operation)) return true;
    flush_ = operation;
  }
  if (ucx_.ucp_request_check_status(flush_) == UCS_INPROGRESS) return false;
  ucx_.ucp_request_free(std::exchange(flush_, nullptr));
  return true;
}

void UcxTransport::release(Request& request) {
  if (request.transport.held == 0) return;
  auto* const data = std::bit_cast<void*>(static_cast<std::uintptr_t>(request.transport.held));
  request.transport.held = 0;
  *std::find(held_.begin(), held_.end(), data) = held_.back();
  held_.pop_back();
  ucx_.ucp_am_data_release(worker_, data);
}

bool UcxTransport::arm() { return completed_.empty() && in_use_->worker.arm(); }

void UcxTransport::wait(std::chrono::microseconds longest) {
  const std::array worker{&in_use_->worker};
  if (arm()) UcxWorker::sleep(worker, longest);
}

void UcxTransport::waitForAny(std::span<const std::unique_ptr<UcxTransport>> channels,
                              std::chrono::microseconds longest) {
  auto& workers = PerThread<std::vector<UcxWorker*>, struct Armed>::get();  // keeps its room from call to call
  workers.clear();
  for (const auto& channel : channels) {
    if (!channel->arm()) return;
    workers.push_back(&channel->in_use_->worker);
  }
  UcxWorker::sleep(workers, longest);
}

void UcxTransport::keepAlive(std::shared_ptr<const void> memory) { in_use_->kept.push_back(std::move(memory)); }

}  // namespace signccl
