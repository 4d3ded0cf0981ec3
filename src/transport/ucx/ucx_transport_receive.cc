// SPDX-License-Identifier: Apache-2.0
// How messages reach a UcxTransport and meet their receives.
#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "transport/ucx/ucx_transport.h"

namespace signccl {
namespace {

/// Makes the next push_back() one that does not allocate.
template <typename T>
void makeRoom(std::vector<T>& list) {
  if (list.size() == list.capacity()) list.reserve(2 * list.size() + 8);
}

}  // namespace

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

UcxTransport::Keys UcxTransport::keysOf(const GroupKey& group) {
  Keys keys;
  std::memcpy(&keys.digest_mask, group.data(), sizeof keys.digest_mask);
  std::memcpy(&keys.group, group.data() + sizeof keys.digest_mask, sizeof keys.group);
  return keys;
}

bool UcxTransport::isOfGroup(const void* header, std::size_t size) const {
  Header read{};
  if (size != sizeof read) return false;
  std::memcpy(&read, header, sizeof read);
  return read.group == keys_.group && read.source >= 0 && static_cast<std::size_t>(read.source) < peers_.size();
}

/// Not each of them: a stranger who sends without end must not fill the log.
void UcxTransport::reportStranger() {
  if (!std::has_single_bit(++nstrangers_)) return;
  log(LogLevel::kWarn, Subsystem::kNet, rank_, "dropped a message that no rank of this communicator sent, number ",
      nstrangers_);
}

ucs_status_t UcxTransport::onMessage(void* self, const void* header, std::size_t header_size, void* data,
                                     std::size_t size, const ucp_am_recv_param_t* param) noexcept {
  auto& transport = *static_cast<UcxTransport*>(self);
  if (transport.closing_) return UCS_OK;  // the memory of posted receives may be gone
  try {
    if (transport.isOfGroup(header, header_size)) {
      Header read{};
      std::memcpy(&read, header, sizeof read);
      read.tag.digest ^= transport.keys_.digest_mask;
      return transport.take(read, data, size, param->recv_attr);
    }
    transport.reportStranger();
  } catch (...) {
    transport.out_of_memory_ = true;
  }
  return UCS_OK;
}

/// What UCX lends only during its callback is copied at once; everything else is looked at after the worker's turn.
ucs_status_t UcxTransport::take(const Header& header, void* data, std::size_t size, std::uint64_t attributes) {
  Peer& peer = peers_[static_cast<std::size_t>(header.source)];
  if (!std::exchange(peer.has_sent, true)) noteNewConnection();
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

void UcxTransport::release(Request& request) {
  if (request.transport.held == 0) return;
  auto* const data = std::bit_cast<void*>(static_cast<std::uintptr_t>(request.transport.held));
  request.transport.held = 0;
  *std::find(held_.begin(), held_.end(), data) = held_.back();
  held_.pop_back();
  ucx_.ucp_am_data_release(worker_, data);
}

}  // namespace signccl
