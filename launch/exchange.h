// The processes of a job tell each other small things: who they are, unique ids, times, counts.
#ifndef SIGNCCL_LAUNCH_EXCHANGE_H_
#define SIGNCCL_LAUNCH_EXCHANGE_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "launch/listening_socket.h"

namespace signccl::launch {

/// What a process needs to know to meet the others.
struct Party {
  Place place;
  std::string secret;  ///< the same on all; who does not know it is turned away
  std::chrono::milliseconds join_timeout = std::chrono::minutes(1);  ///< until all processes have come
  std::chrono::milliseconds timeout = std::chrono::minutes(10);      ///< of each operation
};

class Links;

/// Every process calls the same functions in the same order, one thread at a time. Everything throws LaunchError if a
/// process fails, leaves, or is too late; it names that process, and nothing works from then on.
class Exchange {
 public:
  /// Of a single process, with itself.
  Exchange();
  /// Process 0 waits for the others at `socket`.
  Exchange(ListeningSocket socket, const Party& party);
  /// The others connect to process 0 at one of `addresses`, which are tried in turn.
  Exchange(const std::vector<Address>& addresses, const Party& party);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  [[nodiscard]] int process() const { return place_.process; }
  [[nodiscard]] int nprocesses() const { return place_.nprocesses; }
  /// Whether this is the process that reports.
  [[nodiscard]] bool isFirst() const { return place_.process == 0; }

  /// Gives process 0 the parts of all, [process]; the others get nothing and do not wait.
  std::vector<std::string> gather(const std::string& part);
  /// Gives all processes the value of process 0; those of the others are ignored.
  std::string broadcast(const std::string& value);
  /// Gives all processes the parts of all, [process].
  std::vector<std::string> allGather(const std::string& part);
  /// Returns once all processes have called it.
  void barrier() { allGather({}); }

  /// Ends the exchange for all; they get `reason` with the number of this process.
  void abort(const std::string& reason) noexcept;

 private:
  Place place_;
  std::unique_ptr<Links> links_;  ///< null for a single process
};

}  // namespace signccl::launch

#endif  // SIGNCCL_LAUNCH_EXCHANGE_H_
