// SPDX-License-Identifier: Apache-2.0
#include "exec/one_round_engine.h"

#include <algorithm>

namespace signccl {

bool OneRoundEngine::canRun(const Plan& plan) {
  if (plan.nrounds > 1 || plan.has_external_ends) return false;
  return std::ranges::all_of(plan.steps, [](const PlanStep& step) {
    if (step.kind == StepKind::kSend) return step.slot.kind == SlotKind::kSigns && !step.is_staged;
    return step.kind != StepKind::kRecv || step.slot.kind == SlotKind::kInbox;
  });
}

void OneRoundEngine::prepare(const StationContext& context, std::size_t /*nlanes*/, Word* memory) {
  context_ = &context;
  inboxes_.assign(static_cast<std::size_t>(context.plan->ninboxes), nullptr);
  slice_ = {0, 0, context.batch->nwords, memory, inboxes_, 0, nullptr};
  messages_.clear();
  for (const StepKind kind : {StepKind::kSend, StepKind::kRecv}) {
    if (kind == StepKind::kRecv) nsends_ = messages_.size();
    for (const PlanStep& step : context.plan->steps) {
      if (step.kind != kind || context.wordsOf(slice_, step.run).size == 0) continue;
      messages_.push_back({&step, messageWords(context, slice_, step), false, {}});
    }
  }
}

void OneRoundEngine::start() {
  own_note_ = ownNote(*context_) | encodeSlice(*context_, slice_);
  slice_.note = own_note_;
  Tag tag{context_->batch->exchange, 0, 0, context_->batch->digest};
  sends_left_ = nsends_;
  receives_left_ = messages_.size() - nsends_;
  is_decoded_ = false;
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    Message& message = messages_[i];
    tag.ordinal = message.step->ordinal;
    message.request.user = i;
    message.is_open = true;
    if (i < nsends_) {
      message.request.note = slice_.note;
      transport_.send(message.step->peer, tag, std::as_bytes(message.words), message.request);
    } else {
      transport_.recv(message.step->peer, tag, std::as_writable_bytes(message.words), Landing::kBorrow,
                      message.request);
    }
  }
}

bool OneRoundEngine::progress() {
  transport_.progress(completed_);
  bool moved = !completed_.empty();
  for (const Request* request : completed_) {
    Message& message = messages_[request->user];
    message.is_open = false;
    if (request->user < nsends_) {
      --sends_left_;
    } else {
      --receives_left_;
      slice_.note |= request->note;
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

void OneRoundEngine::countAndDecode() {
  for (const PlanStep& step : context_->plan->steps) {
    if (step.kind == StepKind::kCount) countVotes(*context_, slice_, step);
    if (step.kind == StepKind::kDecide) decideChunk(*context_, slice_, step);
  }
  for (std::size_t i = nsends_; i < messages_.size(); ++i) transport_.release(messages_[i].request);
  decodeSlice(*context_, slice_);
  is_decoded_ = true;
}

void OneRoundEngine::abandon() noexcept {
  sends_left_ = 0;
  is_decoded_ = true;
}

std::vector<Rank> OneRoundEngine::peersOf(StepKind kind) const {
  std::vector<Rank> peers;
  for (const Message& message : messages_) {
    if (message.is_open && message.step->kind == kind) peers.push_back(message.step->peer);
  }
  return peers;
}

}  // namespace signccl
