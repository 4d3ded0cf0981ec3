// SPDX-License-Identifier: Apache-2.0
#include "api/lion_arguments.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "api/arguments.h"
#include "api/stream_place.h"
#include "base/error.h"
#include "base/versioned_struct.h"

namespace signccl {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw Error(signcclInvalidArgument, what); }

std::string ofTensor(const char* array, std::size_t tensor) {
  return std::string(array) + "[" + std::to_string(tensor) + "]";
}

/// An int field that may be left to the library.
int valueOr(int given, int otherwise) { return given == SIGNCCL_CONFIG_UNDEF_INT ? otherwise : given; }

bool checkSwitch(const char* name, int value) {
  const int given = valueOr(value, 0);
  if (given != 0 && given != 1) refuse(std::string(name) + " is " + std::to_string(value) + ", expected 0 or 1");
  return given == 1;
}

FloatType checkType(const char* array, const int* types, std::size_t tensor) {
  if (types == nullptr) return FloatType::kFloat32;
  switch (types[tensor]) {
    case signcclFloat32:
      return FloatType::kFloat32;
    case signcclFloat16:
      return FloatType::kFloat16;
    case signcclBfloat16:
      return FloatType::kBFloat16;
    default:
      refuse(ofTensor(array, tensor) + " is " + std::to_string(types[tensor]) +
             ", expected 7 (float32), 6 (float16) or 9 (bfloat16)");
  }
}

void* checkBuffer(const char* array, void* const* buffers, std::size_t tensor, std::size_t count) {
  if (buffers[tensor] == nullptr && count > 0) {
    refuse(ofTensor(array, tensor) + " is NULL and counts[" + std::to_string(tensor) + "] is " + std::to_string(count));
  }
  return buffers[tensor];
}

LionTensor checkTensor(const signcclLionConfig_t& config, std::size_t tensor, std::size_t ngroups) {
  LionTensor checked;
  checked.count = config.counts[tensor];
  // No object is larger than PTRDIFF_MAX.
  constexpr auto kMost = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) / sizeof(float);
  if (checked.count > kMost) {
    refuse(ofTensor("counts", tensor) + " is " + std::to_string(checked.count) + ": more than memory can hold");
  }
  checked.parameters = checkBuffer("parameters", config.parameters, tensor, checked.count);
  checked.momenta = checkBuffer("momenta", config.momenta, tensor, checked.count);
  checked.parameter_type = checkType("parameterTypes", config.parameterTypes, tensor);
  checked.momentum_type = checkType("momentumTypes", config.momentumTypes, tensor);
  checked.gradient_type = checkType("gradientTypes", config.gradientTypes, tensor);
  if (config.groups == nullptr) return checked;
  const int group = config.groups[tensor];
  if (group < 0 || static_cast<std::size_t>(group) >= ngroups) {
    refuse(ofTensor("groups", tensor) + " is " + std::to_string(group) + ", expected 0 to " +
           std::to_string(ngroups - 1));
  }
  checked.group = static_cast<std::size_t>(group);
  return checked;
}

/// Parameters or momenta of a tensor.
struct Buffer {
  const std::byte* begin;
  const std::byte* end;
  const char* array;
  std::size_t tensor;
};

/// Two tensors that share memory would be updated twice.
void checkDisjoint(const std::vector<LionTensor>& tensors) {
  std::vector<Buffer> buffers;
  buffers.reserve(2 * tensors.size());
  const auto add = [&](const void* memory, std::size_t bytes, const char* array, std::size_t tensor) {
    const auto* const begin = static_cast<const std::byte*>(memory);
    if (bytes > 0) buffers.push_back({begin, begin + bytes, array, tensor});
  };
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    add(tensors[i].parameters, tensors[i].count * floatBytes(tensors[i].parameter_type), "parameters", i);
    add(tensors[i].momenta, tensors[i].count * floatBytes(tensors[i].momentum_type), "momenta", i);
  }
  const std::less<const std::byte*> before;
  std::ranges::sort(buffers, before, &Buffer::begin);
  for (std::size_t i = 1; i < buffers.size(); ++i) {
    if (!before(buffers[i].begin, buffers[i - 1].end)) continue;
    refuse(ofTensor(buffers[i - 1].array, buffers[i - 1].tensor) + " and " +
           ofTensor(buffers[i].array, buffers[i].tensor) + " share memory; expected disjoint buffers");
  }
}

UserBuffer bufferOf(const char* array, const void* memory, FloatType type, const LionTensor& tensor,
                    std::size_t number) {
  return {array, memory, tensor.count * floatBytes(type), floatBytes(type), static_cast<std::ptrdiff_t>(number)};
}

/// Parameters and momenta.
std::vector<UserBuffer> buffersOf(const std::vector<LionTensor>& tensors) {
  std::vector<UserBuffer> buffers;
  buffers.reserve(2 * tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    buffers.push_back(bufferOf("parameters", tensors[i].parameters, tensors[i].parameter_type, tensors[i], i));
    buffers.push_back(bufferOf("momenta", tensors[i].momenta, tensors[i].momentum_type, tensors[i], i));
  }
  return buffers;
}

/// Parameters of an object on a device, for texts that name what other buffers do not fit.
UserBuffer anyParameters(const std::vector<LionTensor>& tensors) {
  const auto found = std::ranges::find_if(tensors, [](const LionTensor& tensor) { return tensor.count > 0; });
  return bufferOf("parameters", found->parameters, found->parameter_type, *found,
                  static_cast<std::size_t>(found - tensors.begin()));
}

/// The value of an array of hyperparameters for one group. `is_on_device`: the device reads it.
double checkHyperparameter(const char* array, const double* values, std::size_t group, double most,
                           bool is_on_device = false) {
  if (is_on_device) return kInDeviceMemory;
  if (values == nullptr) refuse(std::string(array) + " is NULL");
  const double value = values[group];
  if (value >= 0 && value <= most) return value;
  refuse(ofTensor(array, group) + " is " + std::to_string(value) + ", expected 0 to " +
         (most == 1 ? "1" : "the largest float32"));
}

/// The fields of steps on a device.
void checkDeviceFields(const signcclLionStepConfig_t& step, const LionPlace& place) {
  const std::size_t group_bytes = place.options.ngroups * sizeof(float);
  const UserBuffer fields[] = {{"step->foundInf", step.foundInf, sizeof(float), sizeof(float)},
                               {"step->deviceLearningRates", step.deviceLearningRates, group_bytes, sizeof(float)},
                               {"step->deviceWeightDecays", step.deviceWeightDecays, group_bytes, sizeof(float)},
                               {"step->deviceSkipped", step.deviceSkipped, sizeof(int), sizeof(int)}};
  if (place.device == kHostBuffers) {
    const auto refuse_field = [](const char* field) {
      refuse(std::string(field) +
             " is not NULL and the parameters are in host memory; expected NULL, or a Lion object " +
             "whose parameters and momenta are in device memory");
    };
    if (step.stream != nullptr) refuse_field("step->stream");
    for (const UserBuffer& field : fields) {
      if (field.pointer != nullptr) refuse_field(field.name);
    }
    return;
  }
  checkStream(*Device::get(place.device), step.stream);
  for (const UserBuffer& field : fields) {
    if (field.pointer == nullptr) continue;
    const UserBuffer both[] = {anyParameters(place.options.tensors), field};
    deviceOfBuffers(both);
  }
}

}  // namespace

CheckedLion checkLionConfig(const signcclLionConfig_t* given) {
  require(given != nullptr, "config is NULL");
  const signcclLionConfig_t config = readVersioned(given, "config");
  if (config.tensorCount == 0) refuse("config->tensorCount is 0, expected at least 1");
  require(config.parameters != nullptr, "config->parameters is NULL");
  require(config.momenta != nullptr, "config->momenta is NULL");
  require(config.counts != nullptr, "config->counts is NULL");
  const int ngroups = valueOr(config.groupCount, 1);
  if (ngroups < 1) refuse("config->groupCount is " + std::to_string(ngroups) + ", expected at least 1");
  const int aggregation = valueOr(config.aggregation, signcclLionVote);
  if (aggregation != signcclLionVote && aggregation != signcclLionAvg) {
    refuse("config->aggregation is " + std::to_string(aggregation) + ", expected 0 (vote) or 1 (avg)");
  }
  const int rounding = valueOr(config.rounding, signcclLionRoundNearest);
  if (rounding != signcclLionRoundNearest && rounding != signcclLionRoundStochastic) {
    refuse("config->rounding is " + std::to_string(rounding) + ", expected 0 (to nearest) or 1 (stochastic)");
  }
  checkReserved(config.reserved);
  CheckedLion checked;
  LionOptions& options = checked.options;
  options.ngroups = static_cast<std::size_t>(ngroups);
  options.rules =
      checkRules(aggregation == signcclLionVote ? SignOp::kVote : SignOp::kAvg, config.zeroRule, config.tieRule);
  options.rounds_stochastically = rounding == signcclLionRoundStochastic;
  options.rounding_seed = config.roundingSeed;
  options.tensors.reserve(config.tensorCount);
  for (std::size_t i = 0; i < config.tensorCount; ++i) {
    options.tensors.push_back(checkTensor(config, i, options.ngroups));
  }
  checkDisjoint(options.tensors);
  if (mayHaveDeviceMemory()) checked.device = deviceOfBuffers(buffersOf(options.tensors));
  return checked;
}

void checkLionStep(const signcclLionStepConfig_t* given, const LionPlace& place, CheckedLionStep& checked) {
  require(given != nullptr, "step is NULL");
  const signcclLionStepConfig_t step = readVersioned(given, "step");
  constexpr double kMost = std::numeric_limits<float>::max();
  checked.groups.clear();
  const bool has_device_rates = step.deviceLearningRates != nullptr;
  const bool has_device_decays = step.deviceWeightDecays != nullptr;
  for (std::size_t i = 0; i < place.options.ngroups; ++i) {
    checked.groups.push_back(
        {checkHyperparameter("step->learningRates", step.learningRates, i, kMost, has_device_rates),
         checkHyperparameter("step->beta1s", step.beta1s, i, 1), checkHyperparameter("step->beta2s", step.beta2s, i, 1),
         checkHyperparameter("step->weightDecays", step.weightDecays, i, kMost, has_device_decays)});
  }
  checked.skips = checkSwitch("step->skip", step.skip);
  checked.in_background = checkSwitch("step->background", step.background);
  checkDeviceFields(step, place);
  checked.stream = step.stream;
  checked.inputs = {step.deviceLearningRates, step.deviceWeightDecays, step.foundInf};
  checked.skipped_on_device = step.deviceSkipped;
}

void checkLionGradients(const void* const* gradients, std::size_t first, std::size_t ngradients,
                        const LionPlace& place) {
  if (!mayHaveDeviceMemory()) return;
  if (place.device == kHostBuffers) {
    for (std::size_t i = 0; i < ngradients; ++i) {
      if (gradients[i] == nullptr) continue;
      requireOnHost(gradients[i], 1, "that is where the parameters are", [&] { return ofTensor("gradients", i); });
    }
    return;
  }
  const std::vector<LionTensor>& tensors = place.options.tensors;
  std::vector<UserBuffer> buffers{anyParameters(tensors)};
  buffers.reserve(ngradients + 1);
  for (std::size_t i = 0; i < ngradients; ++i) {
    const LionTensor& tensor = tensors[first + i];
    if (gradients[i] != nullptr) {
      buffers.push_back(bufferOf("gradients", gradients[i], tensor.gradient_type, tensor, i));
    }
  }
  deviceOfBuffers(buffers);
}

}  // namespace signccl
