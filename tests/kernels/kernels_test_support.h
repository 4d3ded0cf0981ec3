// SPDX-License-Identifier: Apache-2.0
// What the tests of kernels share: a test per supported instance, grids of sizes, elements with awkward values.
#ifndef SIGNCCL_TESTS_KERNELS_KERNELS_TEST_SUPPORT_H_
#define SIGNCCL_TESTS_KERNELS_KERNELS_TEST_SUPPORT_H_

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/emulated.h"
#include "kernels/kernels.h"
#include "test_buffer.h"

namespace signccl {

/// Under an emulator and under ThreadSanitizer the grids are coarser, so that the tests take seconds.
#if defined(SIGNCCL_COARSE_GRID)
inline constexpr bool kCoarseGrid = true;
#else
inline constexpr bool kCoarseGrid = false;
#endif

/// An instance that a program adds to those that it tests, as device_instance.cc does.
struct AddedInstance {
  const Kernels* kernels = nullptr;          ///< null: none
  const std::string& (*whyNot)() = nullptr;  ///< why it cannot run here; empty: it can
};
AddedInstance& addedInstance();

/// A fixture whose tests run once per tested instance.
class KernelsTest : public ::testing::TestWithParam<const Kernels*> {
 protected:
  const Kernels& kernels() const { return *GetParam(); }
  static const Kernels& reference() { return referenceKernels(); }
  void SetUp() override {
    if (GetParam() == addedInstance().kernels && !addedInstance().whyNot().empty()) {
      GTEST_SKIP() << addedInstance().whyNot();
    }
  }
  std::mt19937_64& random() { return random_; }

 private:
  std::mt19937_64 random_{20240401};
};

inline std::vector<const Kernels*> supportedInstances() {
  const KernelsList list = supportedKernels();
  return {list.instances, list.instances + list.count};
}

/// Those, the kernels of a GPU as the host runs them, and, if that is asked for, as a device does.
inline std::vector<const Kernels*> testedInstances() {
  std::vector<const Kernels*> instances = supportedInstances();
  instances.push_back(&emulatedKernels());
  if (addedInstance().kernels != nullptr) instances.push_back(addedInstance().kernels);
  return instances;
}

inline std::string instanceName(const ::testing::TestParamInfo<const Kernels*>& info) { return info.param->name; }

/// How GoogleTest and CTest show an instance; found by argument-dependent lookup.
inline void PrintTo(const Kernels* kernels, std::ostream* out) { *out << kernels->name; }

/// Words that send every instruction set through its wide, its single and its partial columns.
inline constexpr size_t kAllPathsWords = 43;

/// Numbers of words: all up to twice the widest column and a rest, and 100,003 elements.
std::vector<size_t> wordGrid();

/// Numbers of elements: all up to four words of the widest vector + 1, and large odd ones.
std::vector<size_t> countGrid();

/// Few numbers of elements, for tests with many other dimensions.
std::vector<size_t> shortCountGrid();

/// A table of decodeAvg() for counts of `nplanes` planes: of any values, and of int8 of sums.
TestBuffer randomTable(ElementType type, int nplanes, std::mt19937_64& random);

/// Types that encode and decodeVote take.
std::vector<ElementType> signTypes();

const char* typeName(ElementType type);

/// Elements of which about half are special: zeros, NaNs quiet and signalling of both signs, infinities, denormals,
/// the smallest and largest numbers; the others are random bit patterns.
void fillElements(ElementType type, std::mt19937_64& random, void* elements, size_t count);

/// The special values of fillElements as bit patterns.
std::vector<uint64_t> specialPatterns(ElementType type);

/// Sets denormals-are-zero and flush-to-zero for the calling thread while it lives.
class FlushDenormals {
 public:
  FlushDenormals();
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  uint64_t saved_;
};

}  // namespace signccl

/// Registers a KernelsTest for every tested instance.
#define SIGNCCL_FOR_ALL_KERNELS(fixture) \
  INSTANTIATE_TEST_SUITE_P(, fixture, ::testing::ValuesIn(::signccl::testedInstances()), ::signccl::instanceName)

#endif  // SIGNCCL_TESTS_KERNELS_KERNELS_TEST_SUPPORT_H_
