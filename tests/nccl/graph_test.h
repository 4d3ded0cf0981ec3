// SPDX-License-Identifier: Apache-2.0
// Tests of CUDA graphs with NCCL as transport: each rank has a device, and the first call is made outside of a capture.
#ifndef SIGNCCL_TESTS_NCCL_GRAPH_TEST_H_
#define SIGNCCL_TESTS_NCCL_GRAPH_TEST_H_

#include "nccl_job.h"
#include "stream/graph_job.h"
#include "voter.h"

namespace signccl {

/// In the end nothing is left of the library on any device, once threads have given back what graphs held.
class NcclGraphTest : public NcclTest {
 protected:
  ~NcclGraphTest() override {
    for (int device = 0; device < 8; ++device) await([&] { return isUnused(device); });
  }
};

/// Connects a rank with the others by a call that takes number 0.
inline void connect(signcclComm_t comm) {
  const Stream stream;
  const DeviceBuffer buffer(sizeof(float));
  EXPECT_EQ(callOn({}, buffer.data(), buffer.data(), 1, comm, stream.get()), signcclSuccess)
      << signcclGetLastError(nullptr);
  stream.synchronize();
}

}  // namespace signccl

#endif  // SIGNCCL_TESTS_NCCL_GRAPH_TEST_H_
