// SPDX-License-Identifier: Apache-2.0
#include "comm/transport_maker.h"

#include <exception>
#include <string>
#include <utility>

#include "base/error.h"

namespace signccl {
namespace {

void failFor(Member& member, signcclResult_t code, const char* cause) noexcept {
  member.fail(failureOr(code, "out of memory", [&] { return Failure{code, rankName(member.rank()) + ": " + cause}; }));
}

}  // namespace

void TransportMaker::start(const std::shared_ptr<Member>& member, ProcessTransportOptions options) noexcept {
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  try {
    thread_ = std::thread([this, member, options = std::move(options)] { run(*member, options); });
  } catch (const std::exception& error) {
    failFor(*member, signcclSystemError, error.what());
  }
}

void TransportMaker::run(Member& member, const ProcessTransportOptions& options) noexcept {
  try {
    transport_ = make_(options, member.rank(), member.nranks());
    member.tellAddress(transport_->address());
  } catch (const Error& error) {
    failFor(member, error.code(), error.what());
  } catch (const std::exception& error) {
    failFor(member, signcclSystemError, error.what());
  }
}

void TransportMaker::stop() noexcept {
  std::thread making;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    making = std::move(thread_);
  }
  if (making.joinable()) making.join();
}

std::unique_ptr<ProcessTransport> TransportMaker::take() {
  stop();
  return std::move(transport_);
}

}  // namespace signccl
