// SPDX-License-Identifier: Apache-2.0
#include "device_launch.h"

#include <stdexcept>
#include <vector>

#include "kernels/device/arguments.h"
#include "kernels_test_support.h"

namespace signccl {
namespace {

class DeviceLaunchTest : public KernelsTest {};

TEST_P(DeviceLaunchTest, SeesWhatIsWrittenBeyondAnOutput) {
  const std::vector<float> elements(128, 1.0F);
  std::vector<Word> signs(2);
  DeviceLaunch launch;
  EncodeArguments arguments{};
  arguments.elements = launch.in(elements.data(), elements.size() * sizeof(float));
  arguments.count = elements.size();
  arguments.nonnegative = launch.out(signs.data(), sizeof(Word));  // it writes two
  EXPECT_THROW(launch.run(encodeKernel(ElementType::kFloat32, false), arguments, 1), std::logic_error);
  EXPECT_EQ(signs, (std::vector<Word>{~Word{0}, 0}));
}

std::vector<const Kernels*> deviceAlone() {
  const Kernels* const device = addedInstance().kernels;
  return device == nullptr ? std::vector<const Kernels*>{} : std::vector{device};
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceLaunchTest);
INSTANTIATE_TEST_SUITE_P(, DeviceLaunchTest, ::testing::ValuesIn(deviceAlone()), instanceName);

}  // namespace
}  // namespace signccl
