/* SPDX-License-Identifier: Apache-2.0 */
/* A user's program in C99: one rank votes with itself. */
#include <stdio.h>

#include "signccl/signccl.h"

static int check(signcclResult_t result, const char* call) {
  if (result == signcclSuccess) return 1;
  fprintf(stderr, "%s: %s (%s)\n", call, signcclGetErrorString(result), signcclGetLastError(NULL));
  return 0;
}

int main(void) {
  const float gradient[5] = {0.5f, -2.0f, 0.0f, -1e-30f, 7.0f};
  const float expected[5] = {1.0f, -1.0f, 1.0f, -1.0f, 1.0f};
  float vote[5];
  signcclSignConfig_t rules = SIGNCCL_SIGN_CONFIG_INITIALIZER;
  signcclComm_t comm;
  int version = 0;
  int i;

  if (!check(signcclGetVersion(&version), "signcclGetVersion")) return 1;
  if (version != SIGNCCL_VERSION_CODE) {
    fprintf(stderr, "library %d, header %d\n", version, SIGNCCL_VERSION_CODE);
    return 1;
  }
  if (!check(signcclCommInitAll(&comm, 1, NULL), "signcclCommInitAll")) return 1;
  rules.tieRule = signcclTiePositive;
  if (!check(signcclAllReduceVote(gradient, vote, 5, signcclFloat32, signcclFloat32, &rules, comm, NULL),
             "signcclAllReduceVote")) {
    return 1;
  }
  for (i = 0; i < 5; ++i) {
    if (vote[i] != expected[i]) {
      fprintf(stderr, "element %d: vote %g, expected %g\n", i, (double)vote[i], (double)expected[i]);
      return 1;
    }
  }
  if (!check(signcclCommDestroy(comm), "signcclCommDestroy")) return 1;
  printf("signccl %d.%d.%d works\n", SIGNCCL_MAJOR, SIGNCCL_MINOR, SIGNCCL_PATCH);
  return 0;
}
