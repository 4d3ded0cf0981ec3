/* SPDX-License-Identifier: Apache-2.0 */
/* The public header is C99 and is all that a C program needs: a vote of one rank, and the struct initializers. */
#include <stdio.h>

#include "signccl/lion.h"

#define CHECK(call)                                                                                     \
  do {                                                                                                  \
    const signcclResult_t result = (call);                                                              \
    if (result != signcclSuccess) {                                                                     \
      fprintf(stderr, "%s: %s: %s\n", #call, signcclGetErrorString(result), signcclGetLastError(NULL)); \
      return 1;                                                                                         \
    }                                                                                                   \
  } while (0)

int main(void) {
  signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
  signcclSignConfig_t rules = SIGNCCL_SIGN_CONFIG_INITIALIZER;
  signcclUniqueId id;
  signcclComm_t comm = NULL;
  const float send[3] = {0.5f, -2.0f, 0.0f};
  float recv[3] = {0};

  config.nThreads = 1;
  config.commName = "c";
  rules.zeroRule = signcclZeroTernary;
  rules.tieRule = signcclTieZero;
  CHECK(signcclGetUniqueId(&id));
  CHECK(signcclCommInitRankConfig(&comm, 1, id, 0, &config));
  CHECK(signcclAllReduceVote(send, recv, 3, signcclFloat32, signcclFloat32, &rules, comm, NULL));
  CHECK(signcclCommDestroy(comm));
  if (recv[0] != 1.0f || recv[1] != -1.0f || recv[2] != 0.0f) {
    fprintf(stderr, "got %g %g %g, expected 1 -1 0\n", recv[0], recv[1], recv[2]);
    return 1;
  }
  return 0;
}
