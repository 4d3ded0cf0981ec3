// SPDX-License-Identifier: Apache-2.0
// The handlers of the two collectives.
#include <stdexcept>

#include "arrays.h"
#include "calling_device.h"
#include "guarded.h"
#include "handlers.h"
#include "ranks.h"

namespace signccl::jax {
namespace {

namespace ffi = xla::ffi;

using AllReduce = signcclResult_t (*)(const void*, void*, std::size_t, signcclDataType_t, signcclDataType_t,
                                      const signcclSignConfig_t*, signcclComm_t, signcclStream_t);

struct VoteAttributes {
  std::int64_t ranks;
  std::int64_t zero;
  std::int64_t tie;
  std::int64_t seed;
};

struct AvgAttributes {
  std::int64_t ranks;
  std::int64_t zero;
  std::int64_t seed;
};

/// What a call does, whichever the collective is.
struct Call {
  AllReduce function;
  signcclSignConfig_t rules;
  std::int64_t ranks;
  std::int64_t seed;
};

signcclSignConfig_t rulesOf(std::int64_t zero, std::optional<std::int64_t> tie) {
  signcclSignConfig_t rules = SIGNCCL_SIGN_CONFIG_INITIALIZER;
  rules.zeroRule = static_cast<int>(zero);
  if (tie) rules.tieRule = static_cast<int>(*tie);
  return rules;
}

/// All arrays in one exchange.
signcclResult_t exchange(const Call& call, signcclComm_t comm, signcclStream_t stream,
                         const ffi::RemainingArgs& arguments, const ffi::RemainingRets& results) {
  const signcclResult_t started = signcclGroupStart();
  if (started != signcclSuccess) return started;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Array send = argument(arguments, i + 1);
    const Array receive = result(results, i);
    // The end of the group gives the first error.
    if (call.function(send.data, receive.data, send.count, send.type, receive.type, &call.rules, comm, stream) !=
        signcclSuccess) {
      break;
    }
  }
  return signcclGroupEnd();
}

/// Looks at every array before the first one is used: a group that is open must be ended.
void check(const ffi::RemainingArgs& arguments, const ffi::RemainingRets& results) {
  if (arguments.size() < results.size() + 1) throw std::invalid_argument("fewer arguments than results");
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (argument(arguments, i + 1).count != result(results, i).count) {
      throw std::invalid_argument("result " + std::to_string(i) + " has another shape than its argument");
    }
  }
}

ffi::Error run(const Call& call, CallingDevice device, const ffi::RemainingArgs& arguments,
               const ffi::RemainingRets& results) noexcept {
  return guarded([&]() -> ffi::Error {
    const Place place = placeOf(arguments);
    check(arguments, results);
    const RankLock rank(call.ranks, place.rank, device);
    if (rank.refusal()) return *rank.refusal();
    const CallNumber number(rank.comm(), place.callNumber(call.seed, results.size()));
    return rank.errorOf(exchange(call, rank.comm(), nullptr, arguments, results));
  });
}

/// The lock of the rank ends when the call is enqueued. What is under way then, signcclCommDestroy() waits for, and XLA
/// keeps the arrays until its stream has come to the end of the call.
ffi::Error runOnStream(const Call& call, CallingDevice device, signcclStream_t stream,
                       const ffi::RemainingArgs& arguments, const ffi::RemainingRets& results) noexcept {
  return guarded([&]() -> ffi::Error {
    check(arguments, results);
    const RankLock rank(call.ranks, kRankOfDevice, device);
    if (rank.refusal()) return *rank.refusal();
    return rank.errorOf(exchange(call, rank.comm(), stream, arguments, results));
  });
}

Call callOf(const VoteAttributes& attributes) {
  return {.function = signcclAllReduceVote,
          .rules = rulesOf(attributes.zero, attributes.tie),
          .ranks = attributes.ranks,
          .seed = attributes.seed};
}

Call callOf(const AvgAttributes& attributes) {
  return {.function = signcclAllReduceAvg,
          .rules = rulesOf(attributes.zero, std::nullopt),
          .ranks = attributes.ranks,
          .seed = attributes.seed};
}

template <typename Attributes>
ffi::Error onHost(const Attributes& attributes, CallingDevice device, ffi::RemainingArgs arguments,
                  ffi::RemainingRets results) {
  return run(callOf(attributes), device, arguments, results);
}

template <typename Attributes>
ffi::Error onCuda(const Attributes& attributes, CallingDevice device, signcclStream_t stream,
                  ffi::RemainingArgs arguments, ffi::RemainingRets results) {
  return runOnStream(callOf(attributes), device, stream, arguments, results);
}

/// The arguments of a handler, without and with the stream.
template <typename Attributes>
auto hostBinding() {
  return ffi::Ffi::Bind().Attrs<Attributes>().template Ctx<CallingDevice>().RemainingArgs().RemainingRets();
}

template <typename Attributes>
auto cudaBinding() {
  return ffi::Ffi::Bind()
      .Attrs<Attributes>()
      .template Ctx<CallingDevice>()
      .template Ctx<ffi::PlatformStream<signcclStream_t>>()
      .RemainingArgs()
      .RemainingRets();
}

}  // namespace
}  // namespace signccl::jax

using signccl::jax::AvgAttributes;
using signccl::jax::VoteAttributes;
using xla::ffi::StructMember;

XLA_FFI_REGISTER_STRUCT_ATTR_DECODING(VoteAttributes, StructMember<std::int64_t>("ranks"),
                                      StructMember<std::int64_t>("zero"), StructMember<std::int64_t>("tie"),
                                      StructMember<std::int64_t>("seed"));
XLA_FFI_REGISTER_STRUCT_ATTR_DECODING(AvgAttributes, StructMember<std::int64_t>("ranks"),
                                      StructMember<std::int64_t>("zero"), StructMember<std::int64_t>("seed"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(signcclJaxVote, signccl::jax::onHost<VoteAttributes>,
                              signccl::jax::hostBinding<VoteAttributes>());

XLA_FFI_DEFINE_HANDLER_SYMBOL(signcclJaxAvg, signccl::jax::onHost<AvgAttributes>,
                              signccl::jax::hostBinding<AvgAttributes>());

XLA_FFI_DEFINE_HANDLER_SYMBOL(signcclJaxVoteOnCuda, signccl::jax::onCuda<VoteAttributes>,
                              signccl::jax::cudaBinding<VoteAttributes>());

XLA_FFI_DEFINE_HANDLER_SYMBOL(signcclJaxAvgOnCuda, signccl::jax::onCuda<AvgAttributes>,
                              signccl::jax::cudaBinding<AvgAttributes>());
