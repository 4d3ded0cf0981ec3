#include "transport/ucx/ucx_transport.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <unistd.h>
#include <utility>

#include <sys/eventfd.h>

#include "base/error.h"
#include "base/log.h"

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

template <typename Matches>
auto findTag(Matches& among, Rank source, const Tag& tag) {
  return std::find_if(among.begin(), among.end(),
                      [&](const auto& one) { return one.source == source && one.tag == tag; });
}

/// Takes an element out of a list whose order means nothing.
template <typename T>
T takeOut(std::vector<T>& list, typename std::vector<T>::iterator position) {
  T taken = std::move(*position);
  if (std::next(position) != list.end()) *position = std::move(list.back());
  list.pop_back();
  return taken;
}

}  // namespace

UcxTransport::UcxTransport(std::shared_ptr<UcxContext> context, Rank rank, int nranks)
    : context_(std::move(context)), rank_(rank), peers_(static_cast<std::size_t>(nranks)) {
  for (Peer& peer : peers_) peer.owner = this;
  wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake_fd_ < 0) throw Error(signcclSystemError, std::string("no eventfd: ") + std::strerror(errno));
  try {
    makeWorker();
  } catch (...) {
    if (worker_ != nullptr) ucp_worker_destroy(worker_);
    ::close(wake_fd_);
    throw;
  }
}

void UcxTransport::makeWorker() {
  ucp_worker_params_t params{};
  params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE | UCP_WORKER_PARAM_FIELD_AM_ALIGNMENT;
  params.thread_mode = UCS_THREAD_MODE_SERIALIZED;
  params.am_alignment = alignof(std::uint64_t);
  checkUcx(ucp_worker_create(context_->get(), &params, &worker_), "ucp_worker_create");
  checkUcx(ucp_worker_get_efd(worker_, &event_fd_), "ucp_worker_get_efd");

  ucp_am_handler_param_t handler{};
  handler.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG |
                       UCP_AM_HANDLER_PARAM_FIELD_FLAGS;
  handler.id = kMessageId;
  handler.flags = UCP_AM_FLAG_WHOLE_MSG;
  handler.cb = onMessage;
  handler.arg = this;
  checkUcx(ucp_worker_set_am_recv_handler(worker_, &handler), "ucp_worker_set_am_recv_handler");

  ucp_address_t* address = nullptr;
  std::size_t size = 0;
  checkUcx(ucp_worker_get_address(worker_, &address, &size), "ucp_worker_get_address");
  address_.assign(reinterpret_cast<const char*>(address), size);
  ucp_worker_release_address(worker_, address);
}

UcxTransport::~UcxTransport() {
  close();
  ::close(wake_fd_);
}

void UcxTransport::setAddresses(std::vector<std::string> addresses) {
  SIGNCCL_ASSERT(addresses.size() == peers_.size());
  addresses_ = std::move(addresses);
}

UcxTransport::Peer& UcxTransport::connectedPeer(Rank rank) {
  Peer& peer = peers_[static_cast<std::size_t>(rank)];
  if (peer.endpoint != nullptr) return peer;
  ucp_ep_params_t params{};
  params.field_mask =
      UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.address = reinterpret_cast<const ucp_address_t*>(addresses_[static_cast<std::size_t>(rank)].data());
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler = {onBroken, &peer};
  const ucs_status_t status = ucp_ep_create(worker_, &params, &peer.endpoint);
  if (status != UCS_OK) {
    peer.endpoint = nullptr;
    throw PeerError(rank_, rank, ucs_status_string(status));
  }
  log(LogLevel::kTrace, Subsystem::kNet, rank_, "connects to rank ", rank);
  return peer;
}

void UcxTransport::send(Rank peer, Tag tag, ConstBytes bytes, Request& request) {
  request.peer = peer;
  request.held = 0;
  Peer& target = connectedPeer(peer);
  Transfer& transfer = takeTransfer(request);
  transfer.header = {tag, rank_, 0};
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  param.cb.send = onSent;
  param.user_data = &transfer;
  const ucs_status_ptr_t operation = ucp_am_send_nbx(target.endpoint, kMessageId, &transfer.header, sizeof(Header),
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
  request.held = 0;
  ++peers_[static_cast<std::size_t>(peer)].outstanding;
  const Posted posted{peer, landing, tag, memory, &request};
  const auto match = findTag(unexpected_, peer, tag);
  if (match == unexpected_.end()) {
    posted_.push_back(posted);
    return;
  }
  Arrival arrival = takeOut(unexpected_, match);
  accept(posted, arrival);
}

void UcxTransport::drop(const Arrival& arrival) {
  if (arrival.form != Form::kCopied) ucp_am_data_release(worker_, arrival.data);
}

void UcxTransport::checkSize(const Posted& posted, const Arrival& arrival) {
  if (arrival.size == posted.memory.size()) return;
  drop(arrival);
  throw Error(signcclInternalError, "rank " + std::to_string(rank_) + " expected " +
                                        std::to_string(posted.memory.size()) + " bytes from rank " +
                                        std::to_string(posted.source) + " and got " + std::to_string(arrival.size));
}

/// Brings a message and its receive together.
void UcxTransport::accept(const Posted& posted, Arrival& arrival) {
  checkSize(posted, arrival);
  if (arrival.form == Form::kRendezvous) {
    startRendezvous(posted, arrival);
    return;
  }
  const bool is_aligned = std::bit_cast<std::uintptr_t>(arrival.data) % alignof(std::uint64_t) == 0;
  if (arrival.form == Form::kHeld && posted.landing == Landing::kBorrow && is_aligned) {
    held_.push_back(arrival.data);
    posted.request->held = std::bit_cast<std::uintptr_t>(arrival.data);
    finishReceive(*posted.request, {static_cast<const std::byte*>(arrival.data), arrival.size});
    return;
  }
  const void* const source = arrival.form == Form::kHeld ? arrival.data : arrival.copy.data();
  if (arrival.size > 0) std::memcpy(posted.memory.data(), source, arrival.size);
  if (arrival.form == Form::kHeld) {
    ucp_am_data_release(worker_, arrival.data);
  } else {
    spare_.push_back(std::move(arrival.copy));
  }
  finishReceive(*posted.request, posted.memory);
}

void UcxTransport::startRendezvous(const Posted& posted, const Arrival& arrival) {
  Transfer& transfer = takeTransfer(*posted.request);
  posted.request->data = posted.memory;
  is_flushed_ = false;  // its end is told to the sender
  ++under_way_;
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FLAG_NO_IMM_CMPL;
  param.cb.recv_am = onReceived;
  param.user_data = &transfer;
  const ucs_status_ptr_t operation =
      ucp_am_recv_data_nbx(worker_, arrival.data, posted.memory.data(), arrival.size, &param);
  if (UCS_PTR_IS_ERR(operation)) {
    --under_way_;
    unused_transfers_.push_back(&transfer);
    breakPeer(peers_[static_cast<std::size_t>(posted.source)], UCS_PTR_STATUS(operation));
  }
}

void UcxTransport::finishReceive(Request& request, ConstBytes data) {
  request.data = data;
  --peers_[static_cast<std::size_t>(request.peer)].outstanding;
  ++counters_.messages_received;
  counters_.bytes_received += data.size();
  completed_.push_back(&request);
}

UcxTransport::Transfer& UcxTransport::takeTransfer(Request& request) {
  if (unused_transfers_.empty()) unused_transfers_.push_back(&transfers_.emplace_back());
  Transfer& transfer = *unused_transfers_.back();
  unused_transfers_.pop_back();
  transfer.owner = this;
  transfer.request = &request;
  return transfer;
}

/// A send is complete. One that failed stays outstanding, so that its peer is reported.
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

void UcxTransport::onSent(void* operation, ucs_status_t status, void* transfer) {
  auto& done = *static_cast<Transfer*>(transfer);
  done.owner->transferDone(done, status);
  ucp_request_free(operation);
}

void UcxTransport::onReceived(void* operation, ucs_status_t status, std::size_t /*size*/, void* transfer) {
  auto& done = *static_cast<Transfer*>(transfer);
  UcxTransport& self = *done.owner;
  --self.under_way_;
  if (self.closing_) return ucp_request_free(operation);  // the caller's requests are gone
  self.unused_transfers_.push_back(&done);
  if (status == UCS_OK) {
    self.finishReceive(*done.request, done.request->data);
  } else {
    self.breakPeer(self.peers_[static_cast<std::size_t>(done.request->peer)], status);
  }
  ucp_request_free(operation);
}

void UcxTransport::onBroken(void* peer, ucp_ep_h /*endpoint*/, ucs_status_t status) {
  auto& broken = *static_cast<Peer*>(peer);
  broken.owner->breakPeer(broken, status);
}

void UcxTransport::breakPeer(Peer& peer, ucs_status_t status) {
  if (peer.status == UCS_OK) peer.status = status;
  if (!broken_since_) broken_since_ = steady_clock::now();
}

ucs_status_t UcxTransport::onMessage(void* self, const void* header, std::size_t header_size, void* data,
                                     std::size_t size, const ucp_am_recv_param_t* param) {
  auto& transport = *static_cast<UcxTransport*>(self);
  if (transport.closing_) return UCS_OK;  // the memory of posted receives may be gone
  Header read{};
  if (header_size == sizeof read) std::memcpy(&read, header, sizeof read);
  const auto nranks = static_cast<Rank>(transport.peers_.size());
  if (header_size != sizeof read || read.source < 0 || read.source >= nranks) {
    log(LogLevel::kWarn, Subsystem::kNet, transport.rank_, "dropped a message that no rank of this communicator sent");
    return UCS_OK;
  }
  return transport.take(read, data, size, param->recv_attr);
}

/// What UCX lends only during its callback is copied at once; everything else is looked at after the worker's turn.
ucs_status_t UcxTransport::take(const Header& header, void* data, std::size_t size, std::uint64_t attributes) {
  Arrival arrival{header.source, Form::kCopied, header.tag, data, size, {}};
  if ((attributes & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0) {
    arrival.form = Form::kRendezvous;
  } else if ((attributes & UCP_AM_RECV_ATTR_FLAG_DATA) != 0) {
    arrival.form = Form::kHeld;
  } else {
    const auto match = findTag(posted_, header.source, header.tag);
    if (match != posted_.end() && match->memory.size() == size) {
      const Posted posted = takeOut(posted_, match);
      if (size > 0) std::memcpy(posted.memory.data(), data, size);
      finishReceive(*posted.request, posted.memory);
      return UCS_OK;
    }
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
    // Taken out of the list, since accept() may throw, and the end releases what is still in the list.
    Arrival arrival = std::exchange(arrived, {});
    const auto match = findTag(posted_, arrival.source, arrival.tag);
    if (match == posted_.end()) {
      unexpected_.push_back(std::move(arrival));
      continue;
    }
    const Posted posted = takeOut(posted_, match);
    accept(posted, arrival);
  }
  arrivals_.clear();
}

void UcxTransport::progress(std::vector<Request*>& completed) {
  for (int turn = 0; turn < kWorkerTurns && ucp_worker_progress(worker_) != 0; ++turn) {
    if (!completed_.empty() || !arrivals_.empty()) break;
  }
  if (!arrivals_.empty()) matchArrivals();
  completed.insert(completed.end(), completed_.begin(), completed_.end());
  completed_.clear();
  if (broken_since_) throwIfBroken();
}

void UcxTransport::throwIfBroken() {
  if (steady_clock::now() - *broken_since_ < kGrace) return;
  for (std::size_t rank = 0; rank < peers_.size(); ++rank) {
    const Peer& peer = peers_[rank];
    if (peer.status == UCS_OK || peer.outstanding == 0) continue;
    throw PeerError(rank_, static_cast<Rank>(rank), ucs_status_string(peer.status));
  }
}

/// Over tcp a message that the socket does not take at once stays in a buffer of UCX. A broken connection flushes
/// nothing any more, and is reported by progress().
bool UcxTransport::flush() {
  if (under_way_ > 0) return false;
  if (flush_ == nullptr) {
    if (is_flushed_) return true;
    is_flushed_ = true;
    const ucp_request_param_t param{};
    const ucs_status_ptr_t operation = ucp_worker_flush_nbx(worker_, &param);
    if (!UCS_PTR_IS_PTR(operation)) return true;
    flush_ = operation;
  }
  if (ucp_request_check_status(flush_) == UCS_INPROGRESS) return false;
  ucp_request_free(std::exchange(flush_, nullptr));
  return true;
}

void UcxTransport::release(Request& request) {
  if (request.held == 0) return;
  auto* const data = std::bit_cast<void*>(static_cast<std::uintptr_t>(request.held));
  request.held = 0;
  takeOut(held_, std::find(held_.begin(), held_.end(), data));
  ucp_am_data_release(worker_, data);
}

void UcxTransport::keepAlive(std::shared_ptr<const void> memory) { kept_.push_back(std::move(memory)); }

}  // namespace signccl
