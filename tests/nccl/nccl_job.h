// SPDX-License-Identifier: Apache-2.0
// What a user of several GPUs with NCCL has: a machine with fake drivers of both, and a device for each rank.
#ifndef SIGNCCL_TESTS_NCCL_NCCL_JOB_H_
#define SIGNCCL_TESTS_NCCL_NCCL_JOB_H_

#include <algorithm>
#include <string>

#include <gmock/gmock.h>

#include "fake_nccl/fake_nccl.h"
#include "stream/stream_job.h"

namespace signccl {

/// Both drivers in the state of a fresh process, with eight devices. At the end no communicator of NCCL may be left,
/// and nothing may have been done that NCCL forbids.
class NcclTest : public StreamTest {
 protected:
  NcclTest() { begin(); }
  ~NcclTest() override { finish(); }

  static void begin(int version = 23003) {
    StreamTest::begin({.devices = 8, .queues = 4, .multiprocessors = 2});
    fake_nccl::reset(version);
  }

  static void finish() {
    EXPECT_THAT(fake_nccl::violations(), ::testing::IsEmpty());
    EXPECT_TRUE(fake_nccl::reset()) << "communicators of NCCL are left";
    for (int device = 0; device < 8; ++device) {
      unsigned int flags = 0;
      int is_active = 0;
      expectCuda(cuDevicePrimaryCtxGetState(device, &flags, &is_active));
      EXPECT_EQ(is_active, 0) << "somebody still uses device " << device;
    }
  }

 private:
  const Environment environment_{{"SIGNCCL_TRANSPORT", "nccl"}};
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_NCCL_NCCL_JOB_H_
