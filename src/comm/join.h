// How a rank gets into its group: it meets the others at a hub, which tells whether they are threads of one process or
// processes.
#ifndef SIGNCCL_COMM_JOIN_H_
#define SIGNCCL_COMM_JOIN_H_

#include <memory>

#include "comm/group.h"
#include "comm/network_options.h"
#include "control/hub.h"
#include "control/member.h"
#include "control/unique_id.h"
#include "transport/process_transport.h"

namespace signccl {

struct JoinOptions {
  MeetingPoint point;
  bool may_be_early = false;  ///< the hub may not be there yet
  Rank rank = 0;
  int nranks = 0;
  SharedSettings settings;
  int ranks_per_node = 0;  ///< 0: ranks of one host share a node
  NetworkOptions network;
  std::shared_ptr<Member> parent;  ///< of a split: in the group that is split, whose failure ends the joining; or null
};

/// Opens a hub at an address of this host that `network` allows. Throws Error.
std::shared_ptr<Hub> openHub(const NetworkOptions& network);

class Joining {
 public:
  /// Starts to join; does not wait for the others. Throws Error.
  explicit Joining(const JoinOptions& options);
  /// Gives up, unless finish() was called.
  ~Joining();
  Joining(const Joining&) = delete;
  Joining& operator=(const Joining&) = delete;

  /// Waits for the others. Throws Error: signcclTimeout naming those that have not come, or the failure of the group.
  /// Only the first call.
  std::unique_ptr<Group> finish(Deadline deadline);

 private:
  /// What the control thread makes.
  struct Made {
    std::unique_ptr<ProcessTransport> transport;
  };

  const JoinOptions options_;
  std::shared_ptr<Made> made_ = std::make_shared<Made>();
  std::shared_ptr<Member> member_;
};

}  // namespace signccl

#endif  // SIGNCCL_COMM_JOIN_H_
