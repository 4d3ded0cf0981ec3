/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SignCCL for C++17: owners of the handles of signccl.h and lion.h, and exceptions instead of result codes.
 *
 *   signccl::Communicator comm(nranks, id, rank);
 *   comm.vote(update, update, count);
 *
 * The header is all there is: it calls the C functions, whose documentation holds, and adds nothing to the library's
 * binary interface. The owners can be moved and not copied. What they hold is freed with them; `handle()` gives it for
 * functions of the C API that have no counterpart here.
 */
#ifndef SIGNCCL_SIGNCCL_HPP_
#define SIGNCCL_SIGNCCL_HPP_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "signccl/lion.h"
#include "signccl/signccl.h"

namespace signccl {
inline namespace cpp {  // the library itself has other classes of the same names, which it does not export

/// A call that failed. what() is the library's text, with the values that were given and what was expected.
class Error : public std::runtime_error {
 public:
  Error(signcclResult_t result, const std::string& text) : std::runtime_error(text), result_(result) {}

  [[nodiscard]] signcclResult_t result() const noexcept { return result_; }

 private:
  signcclResult_t result_;
};

/// Throws the Error of a call of this thread, unless it went well. For any function of the C API.
inline void check(signcclResult_t result) {
  if (result == signcclSuccess) return;
  const std::string text = signcclGetLastError(nullptr);
  throw Error(result, text.empty() ? signcclGetErrorString(result) : text);
}

/// The signcclDataType_t of a C++ type, as `value`. Specialise it for your type of float16 or bfloat16.
template <typename T>
struct DataType;
template <>
struct DataType<float> : std::integral_constant<signcclDataType_t, signcclFloat32> {};
template <>
struct DataType<double> : std::integral_constant<signcclDataType_t, signcclFloat64> {};
template <>
struct DataType<std::int8_t> : std::integral_constant<signcclDataType_t, signcclInt8> {};
template <>
struct DataType<std::int16_t> : std::integral_constant<signcclDataType_t, signcclInt16> {};
template <>
struct DataType<std::int32_t> : std::integral_constant<signcclDataType_t, signcclInt32> {};

/// signcclGetUniqueId().
inline signcclUniqueId makeUniqueId() {
  signcclUniqueId id;
  check(signcclGetUniqueId(&id));
  return id;
}

/// A non-blocking collective. Its buffers belong to the library until it is complete, so the destructor waits for it.
class Request {
 public:
  Request() = default;
  explicit Request(signcclRequest_t request) noexcept : request_(request) {}

  [[nodiscard]] signcclRequest_t handle() const noexcept { return request_.get(); }

  /// Gives the handle away.
  signcclRequest_t release() noexcept { return request_.release(); }

  /// False once the collective is known to be complete.
  explicit operator bool() const noexcept { return request_ != nullptr; }

  /// Waits until the collective is complete. Throws its error.
  void wait() {
    signcclRequest_t request = handle();
    const signcclResult_t result = signcclRequestWait(&request);
    if (request == nullptr) release();
    check(result);
  }

  /// Whether the collective is complete, without waiting. Throws its error.
  bool test() {
    signcclRequest_t request = handle();
    int done = 0;
    const signcclResult_t result = signcclRequestTest(&request, &done);
    if (request == nullptr) release();
    check(result);
    return done == 1;
  }

 private:
  struct Wait {
    void operator()(signcclRequest_t request) const noexcept { signcclRequestWait(&request); }
  };
  std::unique_ptr<signcclRequest, Wait> request_;
};

/// signcclRequestWaitAll(): waits for all requests, even if one fails, and throws the first error in their order.
inline void waitAll(std::vector<Request>& requests) {
  std::vector<signcclRequest_t> handles;
  for (const Request& request : requests) handles.push_back(request.handle());
  const signcclResult_t result = signcclRequestWaitAll(handles.size(), handles.data());
  for (std::size_t i = 0; i < handles.size(); ++i) {
    if (handles[i] == nullptr) requests[i].release();
  }
  check(result);
}

/// One rank of a communicator.
class Communicator {
 public:
  /// Of no communicator.
  Communicator() = default;

  /// Takes a handle over.
  explicit Communicator(signcclComm_t comm) noexcept : comm_(comm) {}

  /// signcclCommInitRankConfig().
  Communicator(int nranks, const signcclUniqueId& id, int rank, const signcclConfig_t* config = nullptr) {
    signcclComm_t comm = nullptr;
    check(signcclCommInitRankConfig(&comm, nranks, id, rank, config));
    comm_.reset(comm);
  }

  /// signcclCommInitAll(): all ranks of a communicator in this process, each to be used by a thread of its own.
  static std::vector<Communicator> allInProcess(int nranks) {
    std::vector<signcclComm_t> handles(nranks < 0 ? 0 : static_cast<std::size_t>(nranks));
    check(signcclCommInitAll(handles.data(), nranks, nullptr));
    std::vector<Communicator> comms;
    for (const signcclComm_t handle : handles) comms.emplace_back(handle);
    return comms;
  }

  [[nodiscard]] signcclComm_t handle() const noexcept { return comm_.get(); }
  explicit operator bool() const noexcept { return comm_ != nullptr; }

  [[nodiscard]] int rank() const { return number(signcclCommUserRank); }
  [[nodiscard]] int nranks() const { return number(signcclCommCount); }

  /// signcclCommSplit(). Empty with SIGNCCL_SPLIT_NOCOLOR.
  [[nodiscard]] Communicator split(int color, int key, const signcclConfig_t* config = nullptr) const {
    signcclComm_t comm = nullptr;
    check(signcclCommSplit(handle(), color, key, &comm, config));
    return Communicator(comm);
  }

  /// signcclAllReduceVote().
  template <typename Send, typename Recv>
  void vote(const Send* sendbuff, Recv* recvbuff, std::size_t count, const signcclSignConfig_t* config = nullptr,
            signcclStream_t stream = nullptr) const {
    check(signcclAllReduceVote(sendbuff, recvbuff, count, DataType<Send>::value, DataType<Recv>::value, config,
                               handle(), stream));
  }

  /// signcclAllReduceAvg().
  template <typename Send, typename Recv>
  void average(const Send* sendbuff, Recv* recvbuff, std::size_t count, const signcclSignConfig_t* config = nullptr,
               signcclStream_t stream = nullptr) const {
    check(signcclAllReduceAvg(sendbuff, recvbuff, count, DataType<Send>::value, DataType<Recv>::value, config, handle(),
                              stream));
  }

  /// signcclAllReduceSum(). Throws if the values do not fit the zero rule; on a stream the communicator fails instead.
  template <typename T>
  void sum(const T* sendbuff, T* recvbuff, std::size_t count, const signcclSignConfig_t* config = nullptr,
           signcclStream_t stream = nullptr) const {
    check(signcclAllReduceSum(sendbuff, recvbuff, count, DataType<T>::value, config, handle(), stream, nullptr));
  }

  /// The same with values that need not fit: the outcome says whether the sums are written.
  template <typename T>
  [[nodiscard]] signcclSumOutcome_t trySum(const T* sendbuff, T* recvbuff, std::size_t count,
                                           const signcclSignConfig_t* config = nullptr,
                                           signcclStream_t stream = nullptr) const {
    signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
    check(signcclAllReduceSum(sendbuff, recvbuff, count, DataType<T>::value, config, handle(), stream, &outcome));
    return outcome;
  }

  /// signcclAllReduceVoteAsync().
  template <typename Send, typename Recv>
  [[nodiscard]] Request voteAsync(const Send* sendbuff, Recv* recvbuff, std::size_t count,
                                  const signcclSignConfig_t* config = nullptr) const {
    return begin(signcclAllReduceVoteAsync, sendbuff, recvbuff, count, config);
  }

  /// signcclAllReduceAvgAsync().
  template <typename Send, typename Recv>
  [[nodiscard]] Request averageAsync(const Send* sendbuff, Recv* recvbuff, std::size_t count,
                                     const signcclSignConfig_t* config = nullptr) const {
    return begin(signcclAllReduceAvgAsync, sendbuff, recvbuff, count, config);
  }

 private:
  template <typename Send, typename Recv>
  Request begin(decltype(&signcclAllReduceVoteAsync) function, const Send* sendbuff, Recv* recvbuff, std::size_t count,
                const signcclSignConfig_t* config) const {
    signcclRequest_t request = nullptr;
    check(function(sendbuff, recvbuff, count, DataType<Send>::value, DataType<Recv>::value, config, handle(), nullptr,
                   &request));
    return Request(request);
  }

  int number(signcclResult_t (*function)(signcclComm_t, int*)) const {
    int value = 0;
    check(function(handle(), &value));
    return value;
  }

  struct Destroy {
    void operator()(signcclComm_t comm) const noexcept { signcclCommDestroy(comm); }
  };
  std::unique_ptr<signcclComm, Destroy> comm_;
};

/// A group of calls of this thread, from here to end(). If an exception leaves it earlier, none of its calls is made.
class Group {
 public:
  Group() { check(signcclGroupStart()); }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  ~Group() {
    if (!is_open_) return;
    // A group with a call that failed is not carried out, and this call fails.
    signcclAllReduceVote(nullptr, nullptr, 0, signcclFloat32, signcclFloat32, nullptr, nullptr, nullptr);
    signcclGroupEnd();
  }

  /// signcclGroupEnd(): carries the group out.
  void end() {
    is_open_ = false;
    check(signcclGroupEnd());
  }

 private:
  bool is_open_ = true;
};

/// The parameters and momenta of one rank; see signccl/lion.h. Must not outlive its communicator.
class Lion {
 public:
  Lion(const signcclLionConfig_t& config, const Communicator& comm) {
    signcclLion_t lion = nullptr;
    check(signcclLionCreate(&lion, &config, comm.handle()));
    lion_.reset(lion);
  }

  [[nodiscard]] signcclLion_t handle() const noexcept { return lion_.get(); }

  /// signcclLionStep(). Returns false if a rank has set `skip`, and no parameter has changed.
  bool step(const signcclLionStepConfig_t& config, const void* const* gradients) const {
    int skipped = 0;
    check(signcclLionStep(handle(), &config, gradients, &skipped));
    return skipped == 0;
  }

 private:
  struct Destroy {
    void operator()(signcclLion_t lion) const noexcept { signcclLionDestroy(lion); }
  };
  std::unique_ptr<signcclLion, Destroy> lion_;
};

}  // namespace cpp
}  // namespace signccl

#endif  // SIGNCCL_SIGNCCL_HPP_
