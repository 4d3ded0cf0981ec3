// What a thread notes between signcclGroupStart() and signcclGroupEnd().
#ifndef SIGNCCL_API_GROUP_SCOPE_H_
#define SIGNCCL_API_GROUP_SCOPE_H_

#include <exception>
#include <functional>
#include <span>
#include <vector>

#include "api/arguments.h"
#include "api/handles.h"

namespace signccl {

/// The calls of one group of the calling thread.
class GroupScope {
 public:
  /// That of the calling thread.
  static GroupScope& current();

  [[nodiscard]] bool isOpen() const { return depth_ > 0; }
  void start() { ++depth_; }

  /// Notes a collective of an open group. `request`: non-blocking, and receives its request now; null: blocking.
  /// Throws signcclInvalidUsage if the group holds initialisations.
  void note(CommPointer comm, const CheckedCollective& collective, signcclRequest_t* request);

  /// What is left to do of an initialisation or split that has begun. Both may wait for other ranks.
  struct Join {
    std::function<void()> start;   ///< waits for no rank of the group that has not begun
    std::function<void()> finish;  ///< if that went well; waits for no rank of the group that has not started
  };

  /// Notes an initialisation or split. Throws signcclInvalidUsage if the group holds collectives.
  void noteJoin(Join join);

  /// Ends the group and, if it is the outermost, carries it out. Throws the first error after everything was tried.
  void end();

 private:
  struct Call {
    CommPointer comm;
    CheckedCollective collective;
    signcclRequest_t request = nullptr;
  };
  /// Calls that travel together.
  struct Exchange {
    CommPointer comm;
    ExchangeRules rules;
    std::vector<Segment> segments;
    std::vector<signcclRequest_t> requests;
    bool is_blocking = false;
    Operation* operation = nullptr;
  };

  [[nodiscard]] std::span<Exchange> exchanges() { return std::span(exchanges_).first(nexchanges_); }
  void collectExchanges();
  Exchange& exchangeFor(const Call& call);
  void submit(Exchange& exchange);
  void driveAll();
  bool attempt(const std::function<void()>& action);

  int depth_ = 0;
  std::vector<Call> calls_;
  std::vector<Join> joins_;
  std::vector<Exchange> exchanges_;  ///< the first nexchanges_ are of the group that is being carried out
  std::size_t nexchanges_ = 0;
  std::vector<Exchange*> open_;  ///< those that driveAll() waits for
  std::exception_ptr first_error_;
};

}  // namespace signccl

#endif  // SIGNCCL_API_GROUP_SCOPE_H_
