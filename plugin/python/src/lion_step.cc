// SPDX-License-Identifier: Apache-2.0
// The handler of a Lion step.
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "arrays.h"
#include "calling_device.h"
#include "handlers.h"
#include "ranks.h"
#include "signccl/lion.h"

namespace signccl::jax {
namespace {

namespace ffi = xla::ffi;

struct LionAttributes {
  std::int64_t ranks;
  std::int64_t aggregation;
  std::int64_t zero;
  std::int64_t tie;
  std::int64_t rounding;
  std::int64_t seed;
  double beta1;
  double beta2;
  ffi::Span<const std::int32_t> groups;
};

/// Where the arrays of a step are among the arguments.
constexpr std::size_t kHyperparameters = 1;
constexpr std::size_t kFirstArray = 2;

/// The arrays of a step, as the C API takes them.
struct Tensors {
  std::vector<void*> parameters;
  std::vector<void*> momenta;
  std::vector<const void*> gradients;
  std::vector<std::size_t> counts;
  std::vector<int> parameter_types;
  std::vector<int> momentum_types;
  std::vector<int> gradient_types;

  void add(const Array& parameter, const Array& momentum, const Array& gradient) {
    parameters.push_back(parameter.data);
    momenta.push_back(momentum.data);
    gradients.push_back(gradient.data);
    counts.push_back(parameter.count);
    parameter_types.push_back(parameter.type);
    momentum_types.push_back(momentum.type);
    gradient_types.push_back(gradient.type);
  }
};

/// The result, which holds the argument's elements afterwards. XLA gives both the same memory.
Array inPlace(const Array& given, const Array& result) {
  if (given.type != result.type || given.count != result.count) {
    throw std::invalid_argument("a result has another type or shape than its argument");
  }
  if (given.data != result.data && given.bytes != 0) std::memcpy(result.data, given.data, given.bytes);
  return result;
}

Tensors tensorsOf(const ffi::RemainingArgs& arguments, const ffi::RemainingRets& results) {
  const std::size_t n = results.size() / 2;
  if (results.size() != 2 * n || arguments.size() != kFirstArray + 3 * n) {
    throw std::invalid_argument("a step has " + std::to_string(results.size()) + " results and " +
                                std::to_string(arguments.size()) + " arguments, expected 2 n and 3 n + 2");
  }
  Tensors tensors;
  for (std::size_t i = 0; i < n; ++i) {
    const Array gradient = argument(arguments, kFirstArray + 2 * n + i);
    const Array parameter = inPlace(argument(arguments, kFirstArray + i), result(results, i));
    const Array momentum = inPlace(argument(arguments, kFirstArray + n + i), result(results, n + i));
    if (parameter.count != momentum.count || parameter.count != gradient.count) {
      throw std::invalid_argument("parameters, momenta and gradients of array " + std::to_string(i) +
                                  " have different numbers of elements");
    }
    tensors.add(parameter, momentum, gradient);
  }
  return tensors;
}

/// Learning rates and weight decays of the groups.
struct Hyperparameters {
  std::vector<double> learning_rates;
  std::vector<double> weight_decays;
};

Hyperparameters hyperparametersOf(const ffi::RemainingArgs& arguments) {
  const Array given = argument(arguments, kHyperparameters);
  if (given.type != signcclFloat32 || given.count % 2 != 0) {
    throw std::invalid_argument("the second argument is not float32[2][groups]");
  }
  const auto* const values = static_cast<const float*>(given.data);
  const std::size_t ngroups = given.count / 2;
  return {.learning_rates = {values, values + ngroups}, .weight_decays = {values + ngroups, values + 2 * ngroups}};
}

signcclLionConfig_t configOf(const LionAttributes& attributes, const Tensors& tensors, std::size_t ngroups) {
  if (attributes.groups.size() != tensors.counts.size()) {
    throw std::invalid_argument("the attribute groups has " + std::to_string(attributes.groups.size()) +
                                " numbers, expected one for each of " + std::to_string(tensors.counts.size()) +
                                " parameters");
  }
  signcclLionConfig_t config = SIGNCCL_LION_CONFIG_INITIALIZER;
  config.tensorCount = tensors.counts.size();
  config.parameters = tensors.parameters.data();
  config.momenta = tensors.momenta.data();
  config.counts = tensors.counts.data();
  config.parameterTypes = tensors.parameter_types.data();
  config.momentumTypes = tensors.momentum_types.data();
  config.gradientTypes = tensors.gradient_types.data();
  config.groups = attributes.groups.begin();
  config.groupCount = static_cast<int>(ngroups);
  config.aggregation = static_cast<int>(attributes.aggregation);
  config.zeroRule = static_cast<int>(attributes.zero);
  config.tieRule = static_cast<int>(attributes.tie);
  config.rounding = static_cast<int>(attributes.rounding);
  config.roundingSeed = static_cast<std::uint64_t>(attributes.seed);
  return config;
}

/// One step of a Lion object that is made for it: XLA may give the arrays other addresses in each step.
signcclResult_t step(const LionAttributes& attributes, signcclComm_t comm, const Tensors& tensors,
                     const Hyperparameters& hyperparameters) {
  const std::size_t ngroups = hyperparameters.learning_rates.size();
  const signcclLionConfig_t config = configOf(attributes, tensors, ngroups);
  const std::vector<double> beta1s(ngroups, attributes.beta1);
  const std::vector<double> beta2s(ngroups, attributes.beta2);
  signcclLionStepConfig_t with = SIGNCCL_LION_STEP_INITIALIZER;
  with.learningRates = hyperparameters.learning_rates.data();
  with.weightDecays = hyperparameters.weight_decays.data();
  with.beta1s = beta1s.data();
  with.beta2s = beta2s.data();

  signcclLion_t lion = nullptr;
  const signcclResult_t created = signcclLionCreate(&lion, &config, comm);
  if (created != signcclSuccess) return created;
  const signcclResult_t result = signcclLionStep(lion, &with, tensors.gradients.data(), nullptr);
  signcclLionDestroy(lion);  // leaves the error of the step as the last one of this thread
  return result;
}

ffi::Error lionStep(const LionAttributes& attributes, CallingDevice device, ffi::RemainingArgs arguments,
                    ffi::RemainingRets results) noexcept {
  try {
    const Place place = placeOf(arguments);
    const Hyperparameters hyperparameters = hyperparametersOf(arguments);
    const Tensors tensors = tensorsOf(arguments, results);
    const RankLock rank(attributes.ranks, place.rank, device);
    if (rank.refusal()) return *rank.refusal();
    const CallNumber number(rank.comm(), place.callNumber(attributes.seed, 1));
    return rank.errorOf(step(attributes, rank.comm(), tensors, hyperparameters));
  } catch (const std::invalid_argument& error) {
    return ffi::Error::InvalidArgument(error.what());
  } catch (const std::exception& error) {
    return ffi::Error::Internal(error.what());
  }
}

/// The number of the step is on the device, where a handler cannot read it, and each step would need a Lion object,
/// whose end waits for the stream.
ffi::Error lionStepOnCuda(ffi::RemainingArgs /*arguments*/, ffi::RemainingRets /*results*/,
                          ffi::Dictionary /*attributes*/) {
  return {ffi::ErrorCode::kUnimplemented,
          "lion_step() takes arrays in host memory: on CUDA use distributed_lion(), whose arithmetic XLA compiles"};
}

}  // namespace
}  // namespace signccl::jax

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
    xla::ffi::Ffi::Bind().Attrs<LionAttributes>().Ctx<signccl::jax::CallingDevice>().RemainingArgs().RemainingRets());

XLA_FFI_DEFINE_HANDLER_SYMBOL(signcclJaxLionStepOnCuda, signccl::jax::lionStepOnCuda,
                              xla::ffi::Ffi::Bind().RemainingArgs().RemainingRets().Attrs());
