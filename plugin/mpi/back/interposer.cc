// SPDX-License-Identifier: Apache-2.0
#include "mpi/back/interposer.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "mpi/back/device_memory.h"
#include "mpi/back/end_job.h"
#include "mpi/back/same_rules.h"
#include "rules/carry.h"
#include "rules/values.h"

namespace signccl::mpi {
namespace {

using rules::Action;
using std::chrono::steady_clock;

// Making a communicator of SignCCL takes some 10 ms, which a communicator that lives for one call would never get back.
// A rule that changes results must do so from the first call on.
std::uint64_t matchesUntilAttached(const rules::Rule& rule) { return rule.action == Action::kSignSum ? 2 : 1; }

std::uint64_t nanosecondsSince(steady_clock::time_point begin) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(steady_clock::now() - begin).count());
}

std::int64_t smallestCount(const rules::RuleSet& rules) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(std::clamp<std::uint64_t>(rules.smallestCount(), 1, kMost));
}

int callErrorHandler(MPI_Comm comm, int code) {
  PMPI_Comm_call_errhandler(comm, code);
  return code;
}

}  // namespace

Interposer::Interposer(rules::Settings settings, const rules::Log& log, NextCalls next)
    : settings_(std::move(settings)),
      report_(settings_, log),
      next_(next),
      smallest_count_(smallestCount(settings_.rules)) {
  int rank = 0;
  PMPI_Comm_rank(MPI_COMM_WORLD, &rank);
  report_.setRank(rank);
  report_.begin("MPI");
}

void Interposer::compareRules() const { requireSameRules(settings_.digest(), settings_.comparison_timeout, next_); }

std::optional<int> Interposer::countUnmatched(const AllReduce& call) {
  if (call.count < 1 || is_finished_.load(std::memory_order_relaxed)) return std::nullopt;
  rules::Call words;
  words.type = types_.find(call.type);
  if (call.op == MPI_SUM) words.op = rules::ReduceOp::kSum;
  words.count = static_cast<std::uint64_t>(call.count);
  report_.unmatched(words);
  return std::nullopt;
}

std::optional<int> Interposer::match(const AllReduce& call) {
  const std::optional<rules::ElementType> type = types_.find(call.type);
  if (!type) return isDry() ? countUnmatched(call) : std::nullopt;
  if (call.comm == MPI_COMM_NULL || is_finished_.load(std::memory_order_relaxed)) return std::nullopt;
  Mirror& mirror = mirrors_.of(call.comm);
  if (mirror.isIntercommunicator()) return std::nullopt;
  mirror.agreeOnName(settings_.rules, next_);
  const auto count = static_cast<std::uint64_t>(call.count);
  const rules::Call words{type, rules::ReduceOp::kSum, count, mirror.ranks(), mirror.name()};
  const std::optional<std::size_t> index = settings_.rules.match(words);
  if (!index) return isDry() ? countUnmatched(call) : std::nullopt;
  report_.matched(*index, words);
  const void* send = call.send == MPI_IN_PLACE ? call.recv : call.send;
  const MatchedCall matched{send, call.recv, count, *type, *index, &settings_.rules.rules()[*index]};
  const std::string why = whyForwarded(matched, words);
  if (!why.empty() || matched.rule->action == Action::kForward) {
    report_.forwarded(*index, why);
    return std::nullopt;
  }
  if (isDry()) {
    report_.wouldTake(*index, words, rules::checkValues(send, count, *type));
    return std::nullopt;
  }
  return attachAndTake(mirror, matched);
}

std::string Interposer::whyForwarded(const MatchedCall& matched, const rules::Call& call) const {
  if (matched.rule->action == Action::kForward) return {};
  if (matched.send == nullptr || matched.recv == nullptr) return "a buffer is null";
  if (isDeviceMemory(matched.send) || isDeviceMemory(matched.recv)) return "a buffer is in the memory of a GPU";
  if (matched.rule->action == Action::kSignSum && call.ranks == 1) return "its communicator has one rank";
  return rules::whyNotCarried(*matched.rule, call);
}

std::optional<int> Interposer::attachAndTake(Mirror& mirror, const MatchedCall& call) {
  if (mirror.state() == Mirror::State::kFailed) return callErrorHandler(mirror.comm(), mirror.errorCode());
  const std::uint64_t matches = mirror.countMatch();
  if (mirror.state() == Mirror::State::kWaiting) {
    if (matches < matchesUntilAttached(*call.rule)) {
      report_.forwarded(call.rule_index, "it is the first on its communicator, which may be the only one");
      return std::nullopt;
    }
    const std::string problem = mirror.attach(next_);
    if (!problem.empty() && !has_warned_.exchange(true))
      warn("calls are forwarded, since the ranks of communicator '" + mirror.name() +
           "' cannot join SignCCL: " + problem);
  }
  if (mirror.state() == Mirror::State::kAttached) return take(mirror, call);
  if (call.rule->action == Action::kSignSum) {
    report_.forwarded(call.rule_index, "the ranks of its communicator could not join SignCCL");
    return std::nullopt;
  }
  return callErrorHandler(
      mirror.comm(), mirror.fail("rule '" + call.rule->name + "' cannot act, since the ranks could not join SignCCL"));
}

std::optional<int> Interposer::take(Mirror& mirror, const MatchedCall& call) {
  const auto begin = steady_clock::now();
  TakeOver outcome = takeOver(mirror, call, next_);
  switch (outcome.result) {
    case TakeOver::Result::kTaken:
      reportTaken(mirror, call, nanosecondsSince(begin));
      return MPI_SUCCESS;
    case TakeOver::Result::kForwarded:
      report_.forwarded(call.rule_index, rules::kWhyOnProbation);
      return std::nullopt;
    case TakeOver::Result::kFellBack:
      outcome.fell_back.time_ns = nanosecondsSince(begin);
      report_.fellBack(call.rule_index, outcome.fell_back);
      return std::nullopt;
    case TakeOver::Result::kFailed:
      break;
  }
  return callErrorHandler(mirror.comm(), mirror.fail(outcome.reason));
}

void Interposer::reportTaken(Mirror& mirror, const MatchedCall& call, std::uint64_t time_ns) {
  rules::Taken taken;
  taken.elements = call.count;
  taken.ring_bytes = rules::ringBytes(call.type, call.count, mirror.ranks());
  taken.sent_bytes = mirror.newBytesSent();
  taken.time_ns = time_ns;
  report_.taken(call.rule_index, taken);
}

void Interposer::finish() {
  is_finished_ = true;
  mirrors_.endAll();
  report_.end();
}

}  // namespace signccl::mpi
