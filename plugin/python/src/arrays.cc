// SPDX-License-Identifier: Apache-2.0
#include "arrays.h"

#include <stdexcept>
#include <string>

namespace signccl::jax {
namespace {

namespace ffi = xla::ffi;

/// Steps of transformations with different seeds have numbers this far apart, as those of signccl.torch.
constexpr int kSeedShift = 48;

signcclDataType_t typeOf(ffi::DataType type) {
  // XLA has many more types than this switch names.
  switch (type) {
    case ffi::DataType::F32:
      return signcclFloat32;
    case ffi::DataType::F16:
      return signcclFloat16;
    case ffi::DataType::BF16:
      return signcclBfloat16;
    case ffi::DataType::F64:
      return signcclFloat64;
    case ffi::DataType::S8:
      return signcclInt8;
    case ffi::DataType::S16:
      return signcclInt16;
    case ffi::DataType::S32:
      return signcclInt32;
    default:
      throw std::invalid_argument("an array has XLA's type " + std::to_string(static_cast<int>(type)) +
                                  ", expected float32, float16, bfloat16, float64, int8, int16 or int32");
  }
}

Array arrayOf(const ffi::AnyBuffer& buffer) {
  return {.data = buffer.untyped_data(),
          .count = buffer.element_count(),
          .bytes = buffer.size_bytes(),
          .type = typeOf(buffer.element_type())};
}

ffi::ErrorCode codeOf(signcclResult_t result) {
  switch (result) {
    case signcclInvalidArgument:
      return ffi::ErrorCode::kInvalidArgument;
    case signcclInvalidUsage:
      return ffi::ErrorCode::kFailedPrecondition;
    case signcclRemoteError:
      return ffi::ErrorCode::kAborted;
    case signcclTimeout:
      return ffi::ErrorCode::kDeadlineExceeded;
    case signcclSuccess:
    case signcclUnhandledCudaError:
    case signcclSystemError:
    case signcclInternalError:
    case signcclInProgress:
    case signcclNumResults:
      break;
  }
  return ffi::ErrorCode::kInternal;
}

}  // namespace

Array argument(const ffi::RemainingArgs& arguments, std::size_t index) {
  const auto buffer = arguments.get<ffi::AnyBuffer>(index);
  if (!buffer) throw std::invalid_argument("argument " + std::to_string(index) + ": " + buffer.error().message());
  return arrayOf(*buffer);
}

Array result(const ffi::RemainingRets& results, std::size_t index) {
  auto buffer = results.get<ffi::AnyBuffer>(index);
  if (!buffer) throw std::invalid_argument("result " + std::to_string(index) + ": " + buffer.error().message());
  return arrayOf(**buffer);
}

Place placeOf(const ffi::RemainingArgs& arguments) {
  const Array place = argument(arguments, 0);
  if (place.type != signcclInt32 || place.count != 2) {
    throw std::invalid_argument("the first argument is not the place, int32[2]");
  }
  const auto* const numbers = static_cast<const std::int32_t*>(place.data);
  return {.rank = numbers[0], .step = numbers[1]};
}

std::optional<std::uint64_t> Place::callNumber(std::int64_t seed, std::size_t width) const {
  if (step < 0) return std::nullopt;
  return (static_cast<std::uint64_t>(seed) << kSeedShift) + static_cast<std::uint64_t>(step) * width;
}

ffi::Error errorOf(signcclResult_t result) {
  if (result == signcclSuccess) return ffi::Error::Success();
  const std::string text = signcclGetLastError(nullptr);
  return {codeOf(result), text.empty() ? signcclGetErrorString(result) : text};
}

}  // namespace signccl::jax
