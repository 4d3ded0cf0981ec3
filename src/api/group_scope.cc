#include "api/group_scope.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/error.h"

namespace signccl {
namespace {

/// Empty rounds over all ranks before a thread that drives them sleeps in between.
constexpr int kRoundsBeforeSleep = 2000;
constexpr std::chrono::microseconds kSleep{50};

}  // namespace

GroupScope& GroupScope::current() {
  thread_local GroupScope scope;
  return scope;
}

void GroupScope::note(CommPointer comm, const CheckedCollective& collective, signcclRequest_t* request) {
  if (!joins_.empty()) {
    throw Error(signcclInvalidUsage, "a group that makes communicators cannot hold collectives");
  }
  Call call{std::move(comm), collective, nullptr};
  if (request != nullptr) *request = call.request = requestHandles().insert({call.comm, nullptr, std::nullopt});
  calls_.push_back(std::move(call));
}

void GroupScope::noteJoin(Join join) {
  if (!calls_.empty()) throw Error(signcclInvalidUsage, "a group that holds collectives cannot make communicators");
  joins_.push_back(std::move(join));
}

void GroupScope::end() {
  if (depth_ == 0) throw Error(signcclInvalidUsage, "signcclGroupEnd() without signcclGroupStart()");
  if (--depth_ > 0) return;
  first_error_ = nullptr;
  std::vector<Join> joins = std::exchange(joins_, {});
  std::erase_if(joins, [&](const Join& join) { return !attempt(join.start); });
  for (const Join& join : joins) attempt(join.finish);
  collectExchanges();
  for (Exchange& exchange : exchanges()) submit(exchange);
  driveAll();
  for (Exchange& exchange : exchanges()) exchange.comm.reset();
  nexchanges_ = 0;
  if (first_error_) std::rethrow_exception(std::exchange(first_error_, nullptr));
}

void GroupScope::collectExchanges() {
  for (const Call& call : calls_) {
    Exchange& exchange = exchangeFor(call);
    exchange.segments.push_back(call.collective.segment);
    if (call.request == nullptr) {
      exchange.is_blocking = true;
    } else {
      exchange.requests.push_back(call.request);
    }
  }
  calls_.clear();
}

GroupScope::Exchange& GroupScope::exchangeFor(const Call& call) {
  const auto open = exchanges();
  const auto found = std::find_if(open.begin(), open.end(), [&](const Exchange& exchange) {
    return exchange.comm == call.comm && exchange.rules == call.collective.rules;
  });
  if (found != open.end()) return *found;
  if (nexchanges_ == exchanges_.size()) exchanges_.emplace_back();
  Exchange& fresh = exchanges_[nexchanges_++];
  fresh.comm = call.comm;
  fresh.rules = call.collective.rules;
  fresh.segments.clear();
  fresh.requests.clear();
  fresh.is_blocking = false;
  fresh.operation = nullptr;
  return fresh;
}

void GroupScope::submit(Exchange& exchange) {
  const int holders = static_cast<int>(exchange.requests.size()) + (exchange.is_blocking ? 1 : 0);
  Failure failure;
  try {
    exchange.operation =
        &exchange.comm->comm->submit(exchange.rules, exchange.segments, !exchange.requests.empty(), holders);
  } catch (const Error& error) {
    failure = {error.code(), error.what()};
    if (!first_error_) first_error_ = std::current_exception();
  }
  for (const signcclRequest_t request : exchange.requests) {
    requestHandles().update(request, [&](PendingRequest& pending) {
      pending.operation = exchange.operation;
      if (exchange.operation == nullptr) pending.failure = failure;
    });
  }
}

void GroupScope::driveAll() {
  open_.clear();
  for (Exchange& exchange : exchanges()) {
    if (exchange.is_blocking && exchange.operation != nullptr) open_.push_back(&exchange);
  }
  if (open_.size() == 1) {
    attempt([&] { open_.front()->comm->comm->wait(*open_.front()->operation); });
    return;
  }
  // Several ranks, perhaps, that wait for each other: each is moved on in turn.
  for (int idle_rounds = 0; !open_.empty();) {
    bool moved = false;
    std::erase_if(open_, [&](Exchange* exchange) {
      Communicator& comm = *exchange->comm->comm;
      if (comm.step()) moved = true;
      if (!exchange->operation->done.load(std::memory_order_acquire)) return false;
      moved = true;
      attempt([&] { comm.wait(*exchange->operation); });
      return true;
    });
    if (moved) {
      idle_rounds = 0;
    } else if (++idle_rounds < kRoundsBeforeSleep) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(kSleep);
    }
  }
}

/// True if it went well.
bool GroupScope::attempt(const std::function<void()>& action) {
  try {
    action();
    return true;
  } catch (...) {
    if (!first_error_) first_error_ = std::current_exception();
    return false;
  }
}

}  // namespace signccl
