/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What destructors of objects of static life do, which run after those of the objects of a thread: a call that fails,
 * the reading of its error, and the end of communicators of several processes. The program forks a second rank.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <signccl/signccl.h>
#include <sys/wait.h>

/* Where each waited a second at its end for what can no longer be heard, the time of the test would not do. */
enum { kComms = 32 };

static signcclComm_t comms[kComms];
static int rank;

static void fail(const char* what) {
  fprintf(stderr, "rank %d: %s: %s\n", rank, what, signcclGetLastError(NULL));
  _exit(1);
}

__attribute__((destructor)) static void endLate(void) {
  int nranks = 0;
  if (signcclCommCount(NULL, &nranks) != signcclInvalidArgument) fail("no error for a communicator that is none");
  if (strstr(signcclGetLastError(NULL), "comm") == NULL) fail("the text of the error is not there");
  float sign = 1;
  if (signcclAllReduceVote(&sign, &sign, 1, signcclFloat32, signcclFloat32, NULL, NULL, NULL) == signcclSuccess) {
    fail("a vote without a communicator");
  }
  for (int i = 0; i < kComms; ++i) {
    if (signcclCommDestroy(comms[i]) != signcclSuccess) fail("destroying a communicator late");
  }
}

int main(void) {
  signcclUniqueId ids[kComms];
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return 1;
  const pid_t child = fork();
  rank = child == 0 ? 1 : 0;
  for (int i = 0; i < kComms; ++i) {
    if (rank == 0 && signcclGetUniqueId(&ids[i]) != signcclSuccess) fail("signcclGetUniqueId");
  }
  if (rank == 0 && write(pipe_ends[1], ids, sizeof ids) != (ssize_t)sizeof ids) return 1;
  if (rank == 1 && read(pipe_ends[0], ids, sizeof ids) != (ssize_t)sizeof ids) return 1;
  for (int i = 0; i < kComms; ++i) {
    if (signcclCommInitRank(&comms[i], 2, ids[i], rank) != signcclSuccess) fail("signcclCommInitRank");
    float sign = 1;
    if (signcclAllReduceVote(&sign, &sign, 1, signcclFloat32, signcclFloat32, NULL, comms[i], NULL) != signcclSuccess) {
      fail("signcclAllReduceVote");
    }
  }
  int status = 0;
  if (rank == 0 && (waitpid(child, &status, 0) != child || status != 0)) fail("the child");
  return 0;
}
