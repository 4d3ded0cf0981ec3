// SPDX-License-Identifier: Apache-2.0
// Makes the transport of a rank that joins a group of processes, in a thread of its own.
//
// Making one can take seconds. Meanwhile the control thread must serve the other groups of the process, and the thread
// that joins may have to take more ranks through it, whose addresses this rank needs.
#ifndef SIGNCCL_COMM_TRANSPORT_MAKER_H_
#define SIGNCCL_COMM_TRANSPORT_MAKER_H_

#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "control/member.h"
#include "transport/process_transport.h"

namespace signccl {

class TransportMaker {
 public:
  using Make = std::function<std::unique_ptr<ProcessTransport>(const ProcessTransportOptions&, Rank rank, int nranks)>;

  explicit TransportMaker(Make make) : make_(std::move(make)) {}
  ~TransportMaker() { stop(); }
  TransportMaker(const TransportMaker&) = delete;
  TransportMaker& operator=(const TransportMaker&) = delete;

  /// Starts to make the transport, whose address `member` then tells the others, or which makes it fail. Does not
  /// block. Only the first call.
  void start(const std::shared_ptr<Member>& member, ProcessTransportOptions options) noexcept;

  /// The transport, once the member is ready.
  std::unique_ptr<ProcessTransport> take();

  /// Starts nothing from now on, and waits until a transport that is being made is complete.
  void stop() noexcept;

 private:
  void run(Member& member, const ProcessTransportOptions& options) noexcept;

  const Make make_;
  std::unique_ptr<ProcessTransport> transport_;  ///< the thread's until it has ended

  std::mutex mutex_;  ///< guards what follows
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace signccl

#endif  // SIGNCCL_COMM_TRANSPORT_MAKER_H_
