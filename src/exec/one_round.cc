#include "exec/one_round.h"

#include <algorithm>

namespace signccl {

bool OneRound::canRun(const Plan& plan) {
  return std::all_of(plan.steps.begin(), plan.steps.end(), [](const PlanStep& step) {
    if (step.kind == StepKind::kSend) return step.slot.kind == SlotKind::kSigns && !step.is_staged;
    return step.kind != StepKind::kRecv || step.slot.kind == SlotKind::kInbox;
  });
}

void OneRound::prepare(const Exchange& exchange, Word* memory) {
  exchange_ = &exchange;
  inboxes_.assign(static_cast<std::size_t>(exchange.plan->ninboxes), nullptr);
  slice_ = {0, 0, exchange.batch->nwords, memory, inboxes_};
  messages_.clear();
  for (const StepKind kind : {StepKind::kSend, StepKind::kRecv}) {
    if (kind == StepKind::kRecv) nsends_ = messages_.size();
    for (const PlanStep& step : exchange.plan->steps) {
      if (step.kind != kind || exchange.wordsOf(slice_, step.run).size == 0) continue;
      messages_.push_back({&step, messageWords(exchange, slice_, step), false, {}});
    }
  }
}

void OneRound::start() {
  encodeSlice(*exchange_, slice_);
  Tag tag{exchange_->batch->exchange, 0, 0, exchange_->batch->digest};
  sends_left_ = nsends_;
  receives_left_ = messages_.size() - nsends_;
  is_decoded_ = false;
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    Message& message = messages_[i];
    tag.ordinal = message.step->ordinal;
    message.request.user = i;
    message.is_open = true;
    if (i < nsends_) {
      transport_.send(message.step->peer, tag, std::as_bytes(message.words), message.request);
    } else {
      transport_.recv(message.step->peer, tag, std::as_writable_bytes(message.words), Landing::kBorrow,
                      message.request);
    }
  }
}

bool OneRound::progress() {
  transport_.progress(completed_);
  bool moved = !completed_.empty();
  for (const Request* request : completed_) {
    Message& message = messages_[request->user];
    message.is_open = false;
    if (request->user < nsends_) {
      --sends_left_;
    } else {
      --receives_left_;
      inboxes_[static_cast<std::size_t>(message.step->slot.index)] =
          reinterpret_cast<const Word*>(request->data.data());
    }
  }
  completed_.clear();
  if (receives_left_ == 0 && !is_decoded_) {
    countAndDecode();
    moved = true;
  }
  return moved;
}

void OneRound::countAndDecode() {
  for (const PlanStep& step : exchange_->plan->steps) {
    if (step.kind == StepKind::kCount) countVotes(*exchange_, slice_, step);
    if (step.kind == StepKind::kDecide) decideChunk(*exchange_, slice_, step);
  }
  for (std::size_t i = nsends_; i < messages_.size(); ++i) transport_.release(messages_[i].request);
  decodeSlice(*exchange_, slice_);
  is_decoded_ = true;
}

void OneRound::abandon() {
  sends_left_ = 0;
  is_decoded_ = true;
}

std::vector<Rank> OneRound::awaitedPeers(bool sends) const {
  std::vector<Rank> peers;
  for (std::size_t i = sends ? 0 : nsends_; i < (sends ? nsends_ : messages_.size()); ++i) {
    if (messages_[i].is_open) peers.push_back(messages_[i].step->peer);
  }
  return peers;
}

}  // namespace signccl
