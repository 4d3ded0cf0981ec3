/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that was compiled with the header of version 0.1.0 and runs with the library of today: config, rules, vote,
 * average and counters of four ranks, each a thread. Ends with 0 if every result is right.
 */
#include <pthread.h>
#include <stdio.h>

#include "signccl/signccl.h"

#if SIGNCCL_VERSION_CODE != 100
#error "this program is to be compiled with the header of version 0.1.0"
#endif

enum { kRanks = 4, kCount = 1000 };

/* The sign of an element: element i is positive on i % (kRanks + 1) ranks, so every outcome occurs. */
static float element(int rank, int i) { return rank < i % (kRanks + 1) ? 2.5f : -0.5f; }

static int sumOf(int i) { return 2 * (i % (kRanks + 1)) - kRanks; }

struct Rank {
  signcclUniqueId id;
  int rank;
  int failures;
};

static void check(struct Rank* self, signcclResult_t result, const char* call) {
  if (result == signcclSuccess) return;
  fprintf(stderr, "rank %d: %s: %s: %s\n", self->rank, call, signcclGetErrorString(result), signcclGetLastError(NULL));
  ++self->failures;
}

static void expect(struct Rank* self, int holds, const char* what, int i) {
  if (holds) return;
  fprintf(stderr, "rank %d: %s is wrong at %d\n", self->rank, what, i);
  ++self->failures;
}

static void checkVote(struct Rank* self, signcclComm_t comm, const float* send) {
  signcclSignConfig_t rules = SIGNCCL_SIGN_CONFIG_INITIALIZER;
  float recv[kCount];
  int i;
  rules.tieRule = signcclTieZero;
  check(self, signcclAllReduceVote(send, recv, kCount, signcclFloat32, signcclFloat32, &rules, comm, NULL), "vote");
  for (i = 0; i < kCount; ++i) expect(self, recv[i] == (float)((sumOf(i) > 0) - (sumOf(i) < 0)), "the vote", i);
}

static void checkAverage(struct Rank* self, signcclComm_t comm, const float* send) {
  float recv[kCount];
  int i;
  check(self, signcclAllReduceAvg(send, recv, kCount, signcclFloat32, signcclFloat32, NULL, comm, NULL), "avg");
  for (i = 0; i < kCount; ++i) expect(self, recv[i] == (float)sumOf(i) / kRanks, "the average", i);
}

static void checkStats(struct Rank* self, signcclComm_t comm) {
  struct {
    signcclCommStats_t stats;
    uint64_t behind; /* what a larger struct would overwrite */
  } at = {{0}, 42};
  at.stats.size = sizeof at.stats;
  check(self, signcclCommGetStats(comm, &at.stats), "stats");
  expect(self, at.stats.collectives == 2 && at.stats.size == sizeof at.stats, "the number of collectives", 0);
  expect(self, at.stats.algorithm != NULL && at.stats.algorithm[0] == 'r', "the algorithm", 0);
  expect(self, at.behind == 42, "what lies behind the counters", 0);
}

static void* runRank(void* argument) {
  struct Rank* self = argument;
  signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
  signcclComm_t comm = NULL;
  float send[kCount];
  int i;
  for (i = 0; i < kCount; ++i) send[i] = element(self->rank, i);
  config.nThreads = 1;
  config.timeoutMs = 60000;
  config.algorithm = "ring";
  config.commName = "old program";
  check(self, signcclCommInitRankConfig(&comm, kRanks, self->id, self->rank, &config), "init");
  if (comm == NULL) return NULL;
  checkVote(self, comm, send);
  checkAverage(self, comm, send);
  checkStats(self, comm);
  check(self, signcclCommDestroy(comm), "destroy");
  return NULL;
}

int main(void) {
  pthread_t threads[kRanks];
  struct Rank ranks[kRanks];
  signcclUniqueId id;
  int failures = 0;
  int r;
  if (signcclGetUniqueId(&id) != signcclSuccess) {
    fprintf(stderr, "unique id: %s\n", signcclGetLastError(NULL));
    return 1;
  }
  for (r = 0; r < kRanks; ++r) {
    ranks[r].id = id;
    ranks[r].rank = r;
    ranks[r].failures = 0;
    if (pthread_create(&threads[r], NULL, runRank, &ranks[r]) != 0) return 1;
  }
  for (r = 0; r < kRanks; ++r) {
    pthread_join(threads[r], NULL);
    failures += ranks[r].failures;
  }
  return failures == 0 ? 0 : 1;
}
