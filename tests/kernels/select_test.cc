// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/kernels.h"
#include "kernels_test_support.h"

namespace signccl {
namespace {

TEST(SelectTest, TheLastSupportedInstanceIsScalar) { EXPECT_STREQ(supportedInstances().back()->name, "scalar"); }

TEST(SelectTest, SupportedInstancesAreTheBuiltOnesThatSaySoInTheSameOrder) {
  std::vector<const Kernels*> expected;
  const KernelsList built = builtKernels();
  for (size_t i = 0; i < built.count; ++i) {
    if (built.instances[i]->supported()) expected.push_back(built.instances[i]);
  }
  EXPECT_EQ(supportedInstances(), expected);
}

TEST(SelectTest, ANameForcesItsInstance) {
  for (const Kernels* instance : supportedInstances()) EXPECT_EQ(selectKernels(instance->name), instance);
}

TEST(SelectTest, NoNameGivesTheBestInstance) {
  EXPECT_EQ(selectKernels(nullptr), supportedInstances().front());
  EXPECT_EQ(selectKernels(""), supportedInstances().front());
}

TEST(SelectTest, UnknownNamesAreRefused) {
  for (const char* name : {"reference", "AVX2", "scala", "scalar ", "best"}) EXPECT_EQ(selectKernels(name), nullptr);
}

TEST(SelectTest, BuiltButUnsupportedInstancesAreRefused) {
  const KernelsList built = builtKernels();
  for (size_t i = 0; i < built.count; ++i) {
    const Kernels* instance = built.instances[i];
    EXPECT_EQ(selectKernels(instance->name), instance->supported() ? instance : nullptr) << instance->name;
  }
}

TEST(SelectTest, OnlyTheInstancesThatTheCallerExpectsAreSupported) {
  const char* expected = std::getenv("SIGNCCL_TEST_EXPECTED_KERNELS");
  if (expected == nullptr) GTEST_SKIP() << "SIGNCCL_TEST_EXPECTED_KERNELS is not set";
  std::string names;
  for (const Kernels* instance : supportedInstances())
    names += (names.empty() ? "" : ",") + std::string(instance->name);
  EXPECT_EQ(names, expected);
}

TEST(SelectTest, ElementBytesCountsWholeWordsForBits) {
  EXPECT_EQ(elementBytes(ElementType::kBits, 0), 0U);
  EXPECT_EQ(elementBytes(ElementType::kBits, 1), 8U);
  EXPECT_EQ(elementBytes(ElementType::kBits, 64), 8U);
  EXPECT_EQ(elementBytes(ElementType::kBits, 65), 16U);
  EXPECT_EQ(elementBytes(ElementType::kFloat32, 3), 12U);
  EXPECT_EQ(elementBytes(ElementType::kFloat16, 3), 6U);
  EXPECT_EQ(elementBytes(ElementType::kBFloat16, 3), 6U);
  EXPECT_EQ(elementBytes(ElementType::kFloat64, 3), 24U);
  EXPECT_EQ(elementBytes(ElementType::kInt8, 3), 3U);
  EXPECT_EQ(elementBytes(ElementType::kInt16, 3), 6U);
  EXPECT_EQ(elementBytes(ElementType::kInt32, 3), 12U);
}

}  // namespace
}  // namespace signccl
