// SPDX-License-Identifier: Apache-2.0
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

}  // namespace

UcxTransport::UcxTransport(std::shared_ptr<UcxContext> context, Rank rank, int nranks,
                           const ProcessTransportOptions& options)
    : rank_(rank),
      in_use_(std::make_unique<InUse>(std::move(context))),
      ucx_(in_use_->worker.ucx()),
      worker_(in_use_->worker.get()),
      keys_(keysOf(options.group)),
      route_(options.route),
      address_(in_use_->worker.version() + ' ' + route_ + '\n' + in_use_->worker.address()),
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
    const std::size_t line_end = addresses[rank].find('\n', blank);
    if (blank == std::string::npos || line_end == std::string::npos) {
      throw Error(signcclInternalError, "the address of rank " + std::to_string(rank) + ", of " +
                                            std::to_string(addresses[rank].size()) +
                                            " bytes, does not begin with a version of UCX and a line of interfaces");
    }
    peers_[rank].ucx_version = addresses[rank].substr(0, blank);
    peers_[rank].route = addresses[rank].substr(blank + 1, line_end - blank - 1);
    peers_[rank].address = addresses[rank].substr(line_end + 1);
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
    throw lostConnection(rank, status);
  }
  noteNewConnection();
  log(LogLevel::kTrace, Subsystem::kNet, rank_, "connects to rank ", rank);
  return peer;
}

void UcxTransport::send(Rank peer, Tag tag, ConstBytes bytes, Request& request) {
  request.peer = peer;
  request.transport.held = 0;
  Peer& target = connectedPeer(peer);
  Transfer& transfer = takeTransfer(request);
  transfer.header = {tag, keys_.group, static_cast<std::int16_t>(rank_), static_cast<std::uint16_t>(request.note)};
  transfer.header.tag.digest ^= keys_.digest_mask;
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
    throw lostConnection(static_cast<Rank>(rank), peer.status);
  }
}

/// With what it may come from beside a fault: that the peer has another UCX, what the user asks of UCX, or interfaces
/// that do not reach each other.
PeerError UcxTransport::lostConnection(Rank rank, ucs_status_t status) const {
  const Peer& peer = peers_[static_cast<std::size_t>(rank)];
  const std::string& version = in_use_->worker.version();
  std::string cause = ucx_.ucs_status_string(status);
  if (peer.ucx_version != version) {
    cause += " (it has UCX " + peer.ucx_version + ", rank " + std::to_string(rank_) + " has " + version +
             "; expected the same version on all ranks)";
    return {rank_, rank, cause};
  }
  // A peer that was reached before has died.
  const bool was_reached = status == UCS_ERR_CONNECTION_RESET;
  if (!was_reached && !route_.empty() && !peer.route.empty()) {
    cause += " (rank " + std::to_string(rank_) + " is at " + route_ + ", rank " + std::to_string(rank) + " at " +
             peer.route + "; SIGNCCL_SOCKET_IFNAME=name chooses another interface)";
  }
  return {rank_, rank, cause + ucxVariablesOfUser()};
}

/// Over tcp a message that the socket does not take at once stays in a buffer of UCX. A broken connection flushes
/// nothing any more, and is reported by progress().
bool UcxTransport::flush() {
  if (under_way_ > 0) return false;
  if (flush_ == nullptr) {
    if (is_flushed_) return true;
    is_flushed_ = is_settled_by_flush_ = true;
    const ucp_request_param_t param{};
    const ucs_status_ptr_t operation = ucx_.ucp_worker_flush_nbx(worker_, &param);
    if (!UCS_PTR_IS_PTR(operation)) {
      is_settled_ = true;
      return true;
    }
    flush_ = operation;
  }
  if (ucx_.ucp_request_check_status(flush_) == UCS_INPROGRESS) return false;
  ucx_.ucp_request_free(std::exchange(flush_, nullptr));
  is_settled_ = is_settled_by_flush_;
  return true;
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
