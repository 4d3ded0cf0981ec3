// SPDX-License-Identifier: Apache-2.0
// What a thread notes between signcclGroupStart() and signcclGroupEnd().
#ifndef SIGNCCL_API_GROUP_SCOPE_H_
#define SIGNCCL_API_GROUP_SCOPE_H_

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "api/arguments.h"
#include "api/handles.h"
#include "comm/wait_for_all.h"

namespace signccl {

/// The calls of one group of the calling thread.
class GroupScope {
 public:
  /// That of the calling thread.
  static GroupScope& current();

  GroupScope() = default;
  /// Drops the calls of a group that its thread has left open; their requests then report it.
  ~GroupScope();
  GroupScope(const GroupScope&) = delete;
  GroupScope& operator=(const GroupScope&) = delete;

  [[nodiscard]] bool isOpen() const { return depth_ > 0; }
  void start();

  /// Notes a collective of an open group. `request`: non-blocking, and receives its request now; null: blocking.
  /// Throws signcclInvalidUsage if the group holds initialisations.
  void note(CommPointer comm, const CheckedCollective& collective, signcclRequest_t* request);

  /// An initialisation or split in three phases. A thread that takes several ranks through it finishes each phase for
  /// all of them before the next, because the later ones wait for other ranks.
  struct Join {
    std::function<void()> post;    ///< tells the other ranks; waits for nobody
    std::function<void()> start;   ///< waits for other ranks to have posted
    std::function<void()> finish;  ///< waits for other ranks to have started; receives the communicator
  };

  /// Notes an initialisation or split. Throws signcclInvalidUsage if the group holds collectives.
  void noteJoin(Join join);

  /// Notes that a call in the group failed, if one is open: its end then carries nothing out and returns this error.
  void noteFailedCall(const std::exception_ptr& error) noexcept;

  /// Ends the group and, if it is the outermost, carries it out, unless a call in it has failed. Throws the first error
  /// after everything was tried. Whatever happens, the group is empty afterwards.
  void end();

 private:
  struct Call {
    CommPointer comm;
    CheckedCollective collective;
    signcclRequest_t request = nullptr;
    std::uint64_t number = 0;  ///< among the calls of the communicator
  };
  /// Calls of one communicator that travel in one exchange.
  struct Bundle {
    CommPointer comm;
    ExchangeRules rules;
    StreamPlace place;
    std::vector<Segment> segments;
    std::vector<signcclRequest_t> requests;
    std::vector<SumCall> sums;  ///< those of blocking calls
    bool is_blocking = false;
    Operation* operation = nullptr;
    std::unique_ptr<EngineCall> stream_call;
  };

  void carryOut();
  void joinAll();
  void bundleCalls();
  Bundle& bundleFor(const Call& call);
  void submit(Bundle& bundle);
  void enqueueAllBacks();
  void waitForBlocking();
  void tellOutcomes(const Bundle& bundle, const Notes& notes) noexcept;
  void clear() noexcept;
  void leaveToParent() noexcept;
  void failRequests(const std::exception_ptr& error) noexcept;
  void report(const Bundle& bundle, const std::exception_ptr& error) noexcept;
  void refuseIfOfParent();
  [[nodiscard]] std::span<Bundle> bundles() { return std::span(bundles_).first(nbundles_); }

  int depth_ = 0;
  std::uint8_t fork_depth_ = 0;  ///< of the process that opened the group
  std::vector<Call> calls_;
  std::vector<Join> joins_;
  std::vector<Bundle> bundles_;  ///< the first nbundles_ are of the group that is being carried out
  std::size_t nbundles_ = 0;
  std::vector<Wait> waits_;             ///< for the operations of blocking calls
  std::vector<const Bundle*> waiting_;  ///< the bundle of each of waits_
  std::exception_ptr first_error_;
};

}  // namespace signccl

#endif  // SIGNCCL_API_GROUP_SCOPE_H_
