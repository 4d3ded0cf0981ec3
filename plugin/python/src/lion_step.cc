// SPDX-License-Identifier: Apache-2.0
// The handlers of a Lion step.
#include <cstring>
#include <stdexcept>
#include <vector>

#include "arrays.h"
#include "calling_device.h"
#include "guarded.h"
#include "handlers.h"
#include "lion_arrays.h"
#include "ranks.h"
#include "signccl/lion.h"

namespace signccl::jax {
namespace {

namespace ffi = xla::ffi;

/// XLA gives result and argument the same memory where it can.
void copyOnHost(const Array& given, const Array& result) { std::memcpy(result.data, given.data, given.bytes); }

/// It always can, since handlers are called with aliases.
void refuseToCopy(const Array& /*given*/, const Array& /*result*/) {
  throw std::invalid_argument(
      "a result is not in the memory of its argument, expected both at one address on a device");
}

/// What steps have in common, wherever their arrays are. `betas` has room for both.
signcclLionStepConfig_t stepConfigOf(const LionAttributes& attributes, std::size_t ngroups,
                                     std::vector<double>& betas) {
  betas.assign(ngroups, attributes.beta1);
  betas.insert(betas.end(), ngroups, attributes.beta2);
  signcclLionStepConfig_t with = SIGNCCL_LION_STEP_INITIALIZER;
  with.beta1s = betas.data();
  with.beta2s = betas.data() + ngroups;
  return with;
}

/// One step of a Lion object that is made for it: XLA may give the arrays other addresses in each step.
signcclResult_t stepOnHost(const LionAttributes& attributes, signcclComm_t comm, const LionStep& step) {
  const std::size_t ngroups = step.parts.ngroups;
  std::vector<double> betas;
  signcclLionStepConfig_t with = stepConfigOf(attributes, ngroups, betas);
  const std::vector<double> learning_rates(step.learning_rates, step.learning_rates + ngroups);
  const std::vector<double> weight_decays(step.weight_decays, step.weight_decays + ngroups);
  with.learningRates = learning_rates.data();
  with.weightDecays = weight_decays.data();

  signcclLion_t lion = nullptr;
  const signcclLionConfig_t config = step.parts.config();
  const signcclResult_t created = signcclLionCreate(&lion, &config, comm);
  if (created != signcclSuccess) return created;
  const signcclResult_t result = signcclLionStep(lion, &with, step.gradients.data(), nullptr);
  signcclLionDestroy(lion);  // leaves the error of the step as the last one of this thread
  return result;
}

/// One step of an object of the rank's cache. Hyperparameters are read by the stream, as the host cannot.
signcclResult_t stepOnStream(const LionAttributes& attributes, const RankLock& rank, signcclStream_t stream,
                             const LionStep& step) {
  signcclLion_t lion = nullptr;
  const signcclResult_t found = rank.lions().find(step.parts, rank.comm(), lion);
  if (found != signcclSuccess) return found;
  std::vector<double> betas;
  signcclLionStepConfig_t with = stepConfigOf(attributes, step.parts.ngroups, betas);
  with.deviceLearningRates = step.learning_rates;
  with.deviceWeightDecays = step.weight_decays;
  with.stream = stream;
  return signcclLionStep(lion, &with, step.gradients.data(), nullptr);
}

ffi::Error lionStep(const LionAttributes& attributes, CallingDevice device, ffi::RemainingArgs arguments,
                    ffi::RemainingRets results) {
  return guarded([&]() -> ffi::Error {
    const Place place = placeOf(arguments);
    const LionStep step = lionStepOf(attributes, arguments, results, copyOnHost);
    const RankLock rank(attributes.ranks, place.rank, device);
    if (rank.refusal()) return *rank.refusal();
    const CallNumber number(rank.comm(), place.callNumber(attributes.seed, 1));
    return rank.errorOf(stepOnHost(attributes, rank.comm(), step));
  });
}

/// As for votes on a device, the step has the communicator's running number, and the lock ends when it is enqueued.
ffi::Error lionStepOnCuda(const LionAttributes& attributes, CallingDevice device, signcclStream_t stream,
                          ffi::RemainingArgs arguments, ffi::RemainingRets results) {
  return guarded([&]() -> ffi::Error {
    const LionStep step = lionStepOf(attributes, arguments, results, refuseToCopy);
    const RankLock rank(attributes.ranks, kRankOfDevice, device);
    if (rank.refusal()) return *rank.refusal();
    // Nothing says on which device arrays without elements are, and all ranks have the same shapes.
    if (!step.parts.hasElements()) return ffi::Error::Success();
    return rank.errorOf(stepOnStream(attributes, rank, stream, step));
  });
}

}  // namespace
}  // namespace signccl::jax

using signccl::jax::CallingDevice;
using signccl::jax::LionAttributes;
using xla::ffi::StructMember;

XLA_FFI_REGISTER_STRUCT_ATTR_DECODING(LionAttributes, StructMember<std::int64_t>("ranks"),
                                      StructMember<std::int64_t>("aggregation"), StructMember<std::int64_t>("zero"),
                                      StructMember<std::int64_t>("tie"), StructMember<std::int64_t>("rounding"),
                                      StructMember<std::int64_t>("seed"), StructMember<double>("beta1"),
                                      StructMember<double>("beta2"),
                                      StructMember<xla::ffi::Span<const std::int32_t>>("groups"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    signcclJaxLionStep, signccl::jax::lionStep,
    xla::ffi::Ffi::Bind().Attrs<LionAttributes>().Ctx<CallingDevice>().RemainingArgs().RemainingRets());

XLA_FFI_DEFINE_HANDLER_SYMBOL(signcclJaxLionStepOnCuda, signccl::jax::lionStepOnCuda,
                              xla::ffi::Ffi::Bind()
                                  .Attrs<LionAttributes>()
                                  .Ctx<CallingDevice>()
                                  .Ctx<xla::ffi::PlatformStream<signcclStream_t>>()
                                  .RemainingArgs()
                                  .RemainingRets());
