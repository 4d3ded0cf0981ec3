// SPDX-License-Identifier: Apache-2.0
// This rank's handle of a communicator of NCCL, and the thread that ends it.
//
// A communicator of NCCL waits for its peers without a deadline: in its kernels, and in calls that connect it. So it is
// made without blocking (ncclConfig_t), and whoever waits for it looks at the clock. Only ncclCommAbort() ends what has
// begun. It frees memory and may wait for the device, so it is called by a thread that nobody waits for.
#ifndef SIGNCCL_NCCL_NCCL_COMMUNICATOR_H_
#define SIGNCCL_NCCL_NCCL_COMMUNICATOR_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>

#include "base/failure.h"
#include "device/device.h"
#include "nccl/nccl_library.h"

namespace signccl {

class NcclCommunicator;

struct LeaveNccl {
  void operator()(NcclCommunicator* communicator) const noexcept;
};
/// While it lives, the communicator of NCCL is there and can be called.
using NcclVisit = std::unique_ptr<NcclCommunicator, LeaveNccl>;

class NcclCommunicator : public std::enable_shared_from_this<NcclCommunicator> {
 public:
  /// `onError` is called by any thread, at most once, with what NCCL says of a call that had begun well; it does not
  /// block. Starts the thread. Throws std::system_error.
  static std::shared_ptr<NcclCommunicator> make(const NcclLibrary& nccl, std::shared_ptr<Device> device,
                                                std::function<void(const Failure&)> onError);

  [[nodiscard]] const NcclLibrary& nccl() const { return nccl_; }

  /// For calls of NCCL; to be kept for moments only, since an abort waits for its end. Throws signcclRemoteError if the
  /// communicator is being aborted.
  NcclVisit enter();

  /// Begins to make the communicator, in a visit, with the device's context. Throws what checkNccl() throws.
  void begin(int nranks, const NcclUniqueId& id, int rank);

  /// Begins to split one off the caller's, as that rank, in the thread of this object: a caller's communicator that
  /// blocks waits for all ranks without a deadline, and is not ours to abort. Outside of visits.
  void beginSplit(NcclHandle parent, int rank);

  /// For calls of NCCL, in a visit.
  [[nodiscard]] NcclHandle handle();

  /// True once what was begun, if anything, is under way: the communicator is made, or what is to be done is on its
  /// stream. Throws what enter() and checkNccl() throw.
  bool isSettled();

  /// One more call, or one less, whose stream has not ended it: while there are any, the thread looks for errors. Any
  /// thread.
  void noteCall() noexcept;
  void noteEnd() noexcept;

  /// What a look at something else than NCCL comes to.
  enum class Look : std::uint8_t {
    kIdle,   ///< it need not be looked at any more
    kGoOn,   ///< it must be looked at again
    kAbort,  ///< as kIdle, and everything that has begun must end: see abort()
  };
  /// The thread calls `look` every so often from now on. It may make no call on this object and does not block. Any
  /// thread.
  void watch(std::function<Look()> look);

  /// Ends everything that has begun, soon: kernels of NCCL return with garbage. Any thread; does not block.
  void abort() noexcept;

  /// Ends the communicator, of which no call is outstanding unless it was aborted. Waits for that for `longest`; then
  /// the thread is left behind.
  void close(std::chrono::milliseconds longest) noexcept;

 private:
  NcclCommunicator(const NcclLibrary& nccl, std::shared_ptr<Device> device, std::function<void(const Failure&)> onError)
      : nccl_(nccl), device_(std::move(device)), on_error_(std::move(onError)) {}

  friend LeaveNccl;

  void leave() noexcept;
  void keep() noexcept;
  void split() noexcept;
  NcclHandle splitOff(NcclHandle parent, int rank);
  void lookForErrors() noexcept;
  void lookElsewhere() noexcept;
  void finish(bool has_to_abort) noexcept;

  const NcclLibrary& nccl_;
  std::shared_ptr<Device> device_;  ///< shared: its context must outlive the communicator; of the thread

  std::mutex mutex_;  ///< guards what follows
  NcclHandle handle_ = nullptr;
  NcclHandle parent_ = nullptr;  ///< while a split of it is to come or under way
  int split_rank_ = 0;
  std::exception_ptr split_error_;
  int nvisits_ = 0;
  bool is_over_ = false;  ///< no more visits
  std::condition_variable changed_;
  std::function<void(const Failure&)> on_error_;  ///< empty once called or closed
  std::function<Look()> look_;                    ///< empty if there is nothing to look at
  int ncalls_ = 0;
  bool has_to_abort_ = false;
  bool has_to_close_ = false;
  bool is_finished_ = false;
};

}  // namespace signccl

#endif  // SIGNCCL_NCCL_NCCL_COMMUNICATOR_H_
