// SPDX-License-Identifier: Apache-2.0
// All-reduces and groups; communicators.cc has the rest of the class.
#include "nccl/back/interposer.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <utility>

#include "nccl/back/attach.h"
#include "nccl/back/cuda.h"
#include "nccl/back/inside.h"
#include "nccl/back/last_error.h"
#include "nccl/back/look.h"
#include "nccl/back/sum_of_signs.h"
#include "rules/carry.h"
#include "rules/errors.h"

namespace signccl::nccl_preload {
namespace {

std::uint64_t nanosecondsSince(std::chrono::steady_clock::time_point begin) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - begin).count());
}

bool isError(Result result) { return result != Result::kSuccess && result != Result::kInProgress; }

}  // namespace

Interposer::Interposer(const RealNccl& nccl, const rules::Environment& environment, const std::string& library)
    : nccl_(nccl) {
  try {
    log_.emplace(environment);
    settings_ = rules::Settings::load(environment);
  } catch (const rules::RulesError& error) {
    settings_error_ = error.what();
  }
  if (!log_) log_.emplace();
  report_.emplace(settings_, *log_);
  compares_names_ =
      std::ranges::any_of(settings_.rules.rules(), [](const rules::Rule& rule) { return rule.match.comm.has_value(); });
  if (settings_error_.empty()) report_->begin(library);
}

Result Interposer::allReduce(const AllReduce& call) {
  if (InsideNccl::is() || call.comm == nullptr) return forward(nccl_, call);
  const bool may_match = call.count >= settings_.rules.smallestCount();
  if (!may_match && settings_error_.empty() && unsettled_comparisons_ == 0) return forwardUnmatched(call);
  lastErrorOfThread().clear();
  return guarded([&] {
    if (!settings_error_.empty()) throw Failure(Result::kInvalidUsage, settings_error_);
    if (unsettled_comparisons_ > 0) awaitComparison(call.comm);
    return may_match ? decide(call) : forwardUnmatched(call);
  });
}

Result Interposer::forwardUnmatched(const AllReduce& call) {
  if (isDry() && call.count > 0) report_->unmatched(describe(call));
  return forward(nccl_, call);
}

Result Interposer::decide(const AllReduce& call) {
  const std::shared_ptr<Record> record = comms_.get(call.comm);
  const Mark mark = readMark(call.config);
  rules::Call described = describe(call);
  described.ranks = ranksOf(call.comm, *record);
  described.comm_name = record->name;
  described.marked = mark.action.has_value();
  const auto index = settings_.rules.match(described);
  if (!index || described.ranks == 0) {
    if (isDry()) report_->unmatched(described);
    return forward(nccl_, call);
  }

  const rules::Rule& rule = settings_.rules.rules()[*index];
  report_->matched(*index, described);
  std::string why = record->isClosed() ? "its communicator is being finalized, or was revoked"
                                       : whyForwarded(rule, described, call, mark);
  if (why.empty() && rule.action != rules::Action::kForward) {
    if (isDry()) {
      report_->wouldTake(*index, described, valuesInDryRun(rule, described, call));
      return forward(nccl_, call);
    }
    if (const auto failure = record->failure()) throw Failure(*failure);
    Group& group = groupOfThread();
    if (group.depth == 0 || record->mirror()) {
      return take({.arguments = call,
                   .mirror = nullptr,
                   .rule_index = *index,
                   .action = rule.action,
                   .zero = rule.options.zero.value_or(rules::ZeroRule::kBinary),
                   .tie = mark.tie.value_or(rule.options.tie)},
                  record);
    }
    group.add({call.comm, record, call.stream});
    why = "the first call of a communicator that matches is in a group";
  }
  report_->forwarded(*index, why);
  return forward(nccl_, call);
}

rules::LocalValues Interposer::valuesInDryRun(const rules::Rule& rule, const rules::Call& described,
                                              const AllReduce& call) {
  if (rule.action != rules::Action::kSignSum) return {};
  const InsideNccl inside;
  const auto seen = lookAt(nccl_, call, *described.type, settings_.comparison_timeout);
  if (!seen && !has_said_blind_.exchange(true)) {
    log_->line(rules::LogLevel::kWarn, rules::kNoRank,
               "a dry run cannot look at the values of a call, and counts it as if they fit");
  }
  return seen.value_or(rules::LocalValues{});
}

std::string Interposer::whyForwarded(const rules::Rule& rule, const rules::Call& described, const AllReduce& call,
                                     const Mark& mark) const {
  if (rule.action == rules::Action::kForward) return {};
  if (mark.action && *mark.action != rule.action) {
    return "the call is marked with the action " + std::string(rules::nameOf(*mark.action));
  }
  if (std::string why = rules::whyNotCarried(rule, described); !why.empty()) return why;
  if (rule.action == rules::Action::kSignSum) {
    if (described.op == rules::ReduceOp::kAvg && rule.options.trust) return "a rule with trust takes no means";
    if (described.ranks == 1) return "its communicator has one rank";
  }
  if (isCaptured(call.stream)) return "its stream is captured into a CUDA graph";
  if (looksAtValues(rule) && groupOfThread().depth > 0) {
    return "it is in a group, in which the host cannot wait for a look at its values";
  }
  return {};
}

Result Interposer::take(TakenCall call, const std::shared_ptr<Record>& record) {
  Group& group = groupOfThread();
  if (!record->mirror()) attachNow({{call.arguments.comm, record, call.arguments.stream}});
  call.mirror = record->mirror();
  if (!call.mirror) throw Failure(Result::kInvalidUsage, "the communicator was aborted meanwhile");
  if (looksAtValues(settings_.rules.rules()[call.rule_index])) return takeOrForwardSum(call);
  call.arguments.config = nullptr;
  if (group.depth > 0) {
    group.calls.push_back(std::move(call));
  } else {
    issue({std::move(call)});
  }
  return Result::kSuccess;
}

Result Interposer::takeOrForwardSum(const TakenCall& call) {
  const auto begin = std::chrono::steady_clock::now();
  SumAttempt attempt;
  {
    const InsideNccl inside;
    call.mirror->beginCalls(call.rule_index);
    attempt = sumOfSigns(nccl_, call, settings_.rules.rules()[call.rule_index]);
  }
  switch (attempt.result) {
    case SumAttempt::Result::kTaken:
      reportTaken(call, nanosecondsSince(begin));
      return Result::kSuccess;
    case SumAttempt::Result::kOnProbation:
      report_->forwarded(call.rule_index, rules::kWhyOnProbation);
      break;
    case SumAttempt::Result::kFellBack:
      attempt.fell_back.time_ns = nanosecondsSince(begin);
      report_->fellBack(call.rule_index, attempt.fell_back);
      break;
  }
  return forward(nccl_, call.arguments);
}

void Interposer::attachNow(const std::vector<Candidate>& candidates) {
  const InsideNccl inside;
  attach(surroundings(), candidates);
  for (const Candidate& candidate : candidates) {
    const auto mirror = candidate.record->mirror();
    if (!mirror) continue;
    mirror->setOnSent([this](std::size_t rule, std::uint64_t bytes) { report_->sent(rule, bytes); });
    nameRank(*mirror);
  }
}

void Interposer::nameRank(const Mirror& mirror) {
  const std::lock_guard lock(named_mutex_);
  const bool is_larger = mirror.nranks() > named_nranks_;
  if (!is_larger && (mirror.nranks() < named_nranks_ || mirror.rank() >= named_rank_)) return;
  named_nranks_ = mirror.nranks();
  named_rank_ = mirror.rank();
  report_->setRank(mirror.rank());
}

void Interposer::issue(const std::vector<TakenCall>& calls) {
  const InsideNccl inside;
  for (const TakenCall& call : calls) call.mirror->beginCalls(call.rule_index);
  const auto begin = std::chrono::steady_clock::now();
  if (calls.size() == 1) {
    carryOut(calls.front());
  } else {
    expectSigncclSuccess(signcclGroupStart(), "signcclGroupStart");
    try {
      for (const TakenCall& call : calls) carryOut(call);
    } catch (const Failure&) {
      signcclGroupEnd();
      throw;
    }
    expectSigncclSuccess(signcclGroupEnd(), "a group of all-reduces taken from NCCL");
  }
  const std::uint64_t time_ns = nanosecondsSince(begin) / calls.size();
  for (const TakenCall& call : calls) reportTaken(call, time_ns);
}

void Interposer::reportTaken(const TakenCall& call, std::uint64_t time_ns) {
  const rules::Call described = describe(call.arguments);
  report_->taken(call.rule_index,
                 {.elements = described.count,
                  .ring_bytes = rules::ringBytes(*described.type, described.count, call.mirror->nranks()),
                  .sent_bytes = 0,  // known when the stream has carried the call out
                  .time_ns = time_ns});
}

void Interposer::end() {
  if (log_->isEnabled(rules::LogLevel::kInfo)) {
    const InsideNccl inside;
    for (const std::shared_ptr<Record>& record : comms_.all()) {
      if (const auto mirror = record->mirror()) mirror->countSentBytes();
    }
  }
  report_->end();
}

Result Interposer::groupStart() {
  const bool is_inside = InsideNccl::is();
  const InsideNccl inside;
  const Result result = callReal(nccl_.ncclGroupStart);
  if (is_inside) return result;
  lastErrorOfThread().clear();
  if (!isError(result)) ++groupOfThread().depth;
  return result;
}

Result Interposer::groupEnd() {
  const bool is_inside = InsideNccl::is();
  Result result = Result::kSuccess;
  {
    const InsideNccl inside;
    result = callReal(nccl_.ncclGroupEnd);
  }
  Group& group = groupOfThread();
  if (is_inside || group.depth == 0) return result;
  --group.depth;
  if (group.depth > 0) return result;
  lastErrorOfThread().clear();
  return endOfGroup(result);
}

Result Interposer::endOfGroup(Result of_nccl) {
  const Group group = std::exchange(groupOfThread(), {});
  if (of_nccl == Result::kSuccess) {
    for (const Comm* handle : group.handles) comms_.settle(handle);
  }
  const Result compared = guarded([&] {
    if (of_nccl == Result::kSuccess && !group.strangers.empty()) compareRules(group.strangers);
    if (of_nccl == Result::kInProgress) compareRulesLater(group.strangers);
    return Result::kSuccess;
  });
  const Result own = guarded([&] {
    // Also after an error of NCCL's half, which other ranks may not have: they would wait for these calls.
    if (!group.calls.empty()) issue(group.calls);
    std::vector<Candidate> candidates;
    std::ranges::copy_if(group.candidates, std::back_inserter(candidates), [](const Candidate& one) {
      return !one.record->isClosed() && !one.record->mirror() && !one.record->failure();
    });
    if (!candidates.empty() && !isError(of_nccl)) attachNow(candidates);
    return Result::kSuccess;
  });
  if (isError(of_nccl)) return of_nccl;
  if (isError(compared)) return compared;
  return isError(own) ? own : of_nccl;
}

Result Interposer::groupSimulateEnd(void* info) {
  const bool is_inside = InsideNccl::is();
  const InsideNccl inside;
  const Result result = callReal(nccl_.ncclGroupSimulateEnd, info);
  Group& group = groupOfThread();
  if (is_inside || group.depth == 0) return result;
  --group.depth;
  // A simulated group is not carried out.
  if (group.depth == 0) group = {};
  return result;
}

Result Interposer::guarded(const std::function<Result()>& body) noexcept {
  try {
    return body();
  } catch (const Failure& failure) {
    return failed(failure.result(), failure.what());
  } catch (const std::exception& error) {
    return failed(Result::kSystemError, error.what());
  }
}

Result Interposer::failed(Result result, const std::string& text) noexcept {
  try {
    lastErrorOfThread() = "SignCCL: " + text;
  } catch (const std::exception&) {
    return result;  // without words
  }
  log_->line(rules::LogLevel::kWarn, rules::kNoRank, text);
  // A program shows NCCL's words for the code, if any. So the first failure is said on stderr, too.
  const bool is_first = !has_said_failure_.exchange(true);
  if (is_first && !log_->isEnabled(rules::LogLevel::kWarn)) std::fprintf(stderr, "signccl: %s\n", text.c_str());
  return result;
}

}  // namespace signccl::nccl_preload
