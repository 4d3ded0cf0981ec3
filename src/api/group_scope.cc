// SPDX-License-Identifier: Apache-2.0
#include "api/group_scope.h"

#include <algorithm>
#include <new>
#include <utility>

#include "api/stream_sum.h"
#include "base/error.h"
#include "base/failure.h"
#include "base/fork.h"
#include "base/per_thread.h"

namespace signccl {
namespace {

/// True if it went well, else the first error of several calls is kept in `first`.
template <typename Action>
bool attempt(const Action& action, std::exception_ptr& first) noexcept {
  try {
    action();
    return true;
  } catch (...) {
    if (!first) first = std::current_exception();
    return false;
  }
}

}  // namespace

GroupScope& GroupScope::current() { return PerThread<GroupScope>::get(); }

GroupScope::~GroupScope() {
  if (depth_ == 0) return;
  if (fork_depth_ != forkDepth()) {
    leaveToParent();
    return;
  }
  try {
    failRequests(std::make_exception_ptr(
        Error(signcclInvalidUsage, "the thread that made the call ended without signcclGroupEnd()")));
  } catch (const std::bad_alloc&) {
    failRequests(std::current_exception());
  }
  clear();
}

/// What a child after fork() has inherited belongs to its parent: destroying it here would close the parent's sockets.
void GroupScope::leaveToParent() noexcept {
  static_cast<void>(new (std::nothrow) std::vector<Call>(std::move(calls_)));
  static_cast<void>(new (std::nothrow) std::vector<Join>(std::move(joins_)));
  depth_ = 0;
}

void GroupScope::refuseIfOfParent() {
  if (depth_ > 0 && fork_depth_ != forkDepth()) refuseOfParent("the open group", fork_depth_);
}

void GroupScope::start() {
  refuseIfOfParent();
  fork_depth_ = forkDepth();
  ++depth_;
}

void GroupScope::note(CommPointer comm, const CheckedCollective& collective, signcclRequest_t* request) {
  refuseIfOfParent();
  if (!joins_.empty()) {
    throw Error(signcclInvalidUsage, "a group that makes communicators cannot hold collectives");
  }
  Call& call = calls_.emplace_back(Call{std::move(comm), collective});
  if (request != nullptr) {
    try {
      call.request = requestHandles().insert({call.comm, nullptr, nullptr, collective.sum});
    } catch (...) {
      calls_.pop_back();
      throw;
    }
    *request = call.request;
  }
  ++call.comm->noted_calls;
}

void GroupScope::noteJoin(Join join) {
  refuseIfOfParent();
  if (!calls_.empty()) throw Error(signcclInvalidUsage, "a group that holds collectives cannot make communicators");
  joins_.push_back(std::move(join));
}

void GroupScope::noteFailedCall(const std::exception_ptr& error) noexcept {
  if (isOpen() && fork_depth_ == forkDepth() && !first_error_) first_error_ = error;
}

void GroupScope::end() {
  if (depth_ == 0) throw Error(signcclInvalidUsage, "signcclGroupEnd() without signcclGroupStart()");
  if (fork_depth_ != forkDepth()) {
    leaveToParent();
    refuseOfParent("the open group", fork_depth_);
  }
  if (--depth_ > 0) return;
  if (!first_error_) attempt([this] { carryOut(); }, first_error_);
  const std::exception_ptr error = std::exchange(first_error_, nullptr);
  if (error) failRequests(error);
  clear();
  if (error) std::rethrow_exception(error);
}

void GroupScope::carryOut() {
  joinAll();
  bundleCalls();
  for (Bundle& bundle : bundles()) submit(bundle);
  enqueueAllBacks();
  waitForBlocking();
}

void GroupScope::joinAll() {
  for (const auto phase : {&Join::post, &Join::start, &Join::finish}) {
    std::erase_if(joins_, [&](const Join& join) { return !attempt(join.*phase, first_error_); });
  }
}

void GroupScope::bundleCalls() {
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    Call& call = calls_[i];
    std::optional<SumCall>& sum = call.collective.sum;
    Bundle& bundle = bundleFor(call);
    if (sum) sum->segment = bundle.segments.size();
    bundle.segments.push_back(call.collective.segment);
    bundle.segments.back().call = i;
    if (call.request == nullptr) {
      bundle.is_blocking = true;
      if (sum) bundle.sums.push_back(*sum);
    } else {
      bundle.requests.push_back(call.request);
      requestHandles().update(call.request, [&](PendingRequest& pending) { pending.sum = sum; });
    }
  }
  waits_.reserve(nbundles_);
  waiting_.reserve(nbundles_);
  // Nothing below throws. The numbers follow the order of the calls, not that of the exchanges that they end up in.
  for (Call& call : calls_) call.number = call.comm->comm->takeCallNumber();
  for (Bundle& bundle : bundles()) {
    for (Segment& segment : bundle.segments) segment.call = calls_[segment.call].number;
  }
}

GroupScope::Bundle& GroupScope::bundleFor(const Call& call) {
  const auto open = bundles();
  const auto found = std::find_if(open.begin(), open.end(), [&](const Bundle& bundle) {
    return bundle.comm == call.comm && bundle.rules == call.collective.rules && bundle.place == call.collective.place &&
           (bundle.rules.op != SignOp::kSum || bundle.segments.size() < kMaxSumSegments);
  });
  if (found != open.end()) return *found;
  if (nbundles_ == bundles_.size()) bundles_.emplace_back();
  Bundle& fresh = bundles_[nbundles_++];
  fresh.comm = call.comm;
  fresh.rules = call.collective.rules;
  fresh.place = call.collective.place;
  fresh.segments.clear();
  fresh.requests.clear();
  fresh.sums.clear();
  fresh.is_blocking = false;
  fresh.operation = nullptr;
  fresh.stream_call.reset();
  return fresh;
}

void GroupScope::submit(Bundle& bundle) {
  Communicator& comm = *bundle.comm->comm;
  const int holders = static_cast<int>(bundle.requests.size()) + (bundle.is_blocking ? 1 : 0);
  std::exception_ptr error;
  const bool is_queued = attempt(
      [&] {
        if (bundle.place.isOnStream() && bundle.rules.op == SignOp::kSum) {
          bundle.stream_call = SlotEngine(bundle.comm->streamsOf(bundle.place.device))
                                   .enqueueSum(bundle.rules, bundle.segments, bundle.place.stream,
                                               streamSumOf(bundle.sums), bundle.operation);
          return;
        }
        if (bundle.place.isOnStream()) {
          StreamEngine& engine = bundle.comm->engineOf(bundle.place.device);
          bundle.stream_call = engine.enqueueFront(bundle.rules, bundle.segments, bundle.place.stream, nullptr);
          return;
        }
        bundle.operation = &comm.submit({.rules = bundle.rules,
                                         .segments = bundle.segments,
                                         .in_background = !bundle.requests.empty(),
                                         .holders = holders});
      },
      error);
  if (!is_queued) {
    // Where memory or threads ran out, other exchanges of the group may be under way, and the other ranks would take a
    // later one for this one.
    const Failure failure = failureOf(error);
    if (failure.code == signcclSystemError) comm.fail(failure);
    report(bundle, error);
  }
  for (const signcclRequest_t request : bundle.requests) {
    requestHandles().update(request, [&](PendingRequest& pending) {
      pending.operation = bundle.operation;
      pending.failure = error;
    });
  }
}

/// Once the fronts of all calls on streams are enqueued: the first call of each rank, then the second, and so on.
void GroupScope::enqueueAllBacks() {
  while (true) {
    std::vector<const Bundle*> chosen;
    std::vector<std::unique_ptr<EngineCall>> owned;
    std::vector<EngineCall*> calls;
    for (Bundle& bundle : bundles()) {
      const auto is_same_rank = [&](const Bundle* other) { return other->comm == bundle.comm; };
      if (!bundle.stream_call || std::ranges::any_of(chosen, is_same_rank)) continue;
      chosen.push_back(&bundle);
      calls.push_back(bundle.stream_call.get());
      owned.push_back(std::move(bundle.stream_call));
    }
    if (calls.empty()) return;
    const std::vector<std::exception_ptr> errors = enqueueBacks(calls);
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (errors[i]) report(*chosen[i], errors[i]);
    }
  }
}

void GroupScope::waitForBlocking() {
  waits_.clear();
  waiting_.clear();
  for (const Bundle& bundle : bundles()) {
    if (!bundle.is_blocking || bundle.operation == nullptr) continue;
    waits_.push_back({bundle.comm->comm.get(), bundle.operation, nullptr, {}});
    waiting_.push_back(&bundle);
  }
  waitForAll(waits_);
  for (std::size_t i = 0; i < waits_.size(); ++i) {
    const Bundle& bundle = *waiting_[i];
    if (waits_[i].error) {
      report(bundle, waits_[i].error);
    } else {
      tellOutcomes(bundle, waits_[i].notes);
    }
  }
}

/// Of the blocking sums of a bundle.
void GroupScope::tellOutcomes(const Bundle& bundle, const Notes& notes) noexcept {
  for (const SumCall& sum : bundle.sums) {
    std::exception_ptr error;
    if (!attempt([&] { bundle.comm->tellSum(sum, notes); }, error)) report(bundle, error);
  }
}

/// Notes an error at the communicator that it concerns, and for the end of the group.
void GroupScope::report(const Bundle& bundle, const std::exception_ptr& error) noexcept {
  bundle.comm->noteError(failureOf(error));
  if (!first_error_) first_error_ = error;
}

/// Requests of the group that are in no exchange.
void GroupScope::failRequests(const std::exception_ptr& error) noexcept {
  for (const Call& call : calls_) {
    if (call.request == nullptr) continue;
    requestHandles().update(call.request, [&](PendingRequest& pending) {
      if (pending.operation == nullptr && !pending.failure) pending.failure = error;
    });
  }
}

void GroupScope::clear() noexcept {
  for (const Call& call : calls_) --call.comm->noted_calls;
  calls_.clear();
  joins_.clear();
  for (Bundle& bundle : bundles()) bundle.comm.reset();
  nbundles_ = 0;
  depth_ = 0;
}

}  // namespace signccl
