/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that rules meet in programs of C: what is taken over, what never is, and the lives of communicators. Three
   ranks; preload_test.sh knows how many calls are to be taken. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job.h"

static void signsOfWorld(void) {
  sumIsThatOfMpi("first call", MPI_INT8_T, kSigns, kOutOfPlace, MPI_COMM_WORLD); /* forwarded */
  sumIsThatOfMpi("int8", MPI_INT8_T, kSigns, kOutOfPlace, MPI_COMM_WORLD);
  sumIsThatOfMpi("float32", MPI_FLOAT, kSigns, kOutOfPlace, MPI_COMM_WORLD);
  sumIsThatOfMpi("float64", MPI_DOUBLE, kSigns, kOutOfPlace, MPI_COMM_WORLD);
  sumIsThatOfMpi("in place", MPI_FLOAT, kSigns, kInPlace, MPI_COMM_WORLD);
  sumIsThatOfMpi("zeros", MPI_FLOAT, kZeros, kOutOfPlace, MPI_COMM_WORLD);
  sumIsThatOfMpi("zeros in place", MPI_INT8_T, kZeros, kInPlace, MPI_COMM_WORLD);
}

static void otherValuesFallBack(void) {
  sumIsThatOfMpi("2 in int8", MPI_INT8_T, kTwo, kInPlace, MPI_COMM_WORLD);
  sumIsThatOfMpi("2", MPI_FLOAT, kTwo, kInPlace, MPI_COMM_WORLD);
  sumIsThatOfMpi("NaN", MPI_FLOAT, kNan, kInPlace, MPI_COMM_WORLD);
  sumIsThatOfMpi("-0", MPI_FLOAT, kMinusZero, kInPlace, MPI_COMM_WORLD);
  sumIsThatOfMpi("2 elsewhere", MPI_FLOAT, kTwoElsewhere, kInPlace, MPI_COMM_WORLD);
  sumIsThatOfMpi("signs after others", MPI_FLOAT, kSigns, kOutOfPlace, MPI_COMM_WORLD);
}

/* An op of the program, for floats and for types of several. */
static void addFloats(void* in, void* result, int* count, MPI_Datatype* type) {
  int bytes, i;
  MPI_Type_size(*type, &bytes);
  for (i = 0; i < *count * bytes / (int)sizeof(float); ++i) ((float*)result)[i] += ((float*)in)[i];
}

/* None of these may even be looked at. */
static void othersAreForwarded(void) {
  static float send[kCount], recv[kCount], expected[kCount];
  static int counters[kCount], counted[kCount];
  MPI_Datatype whole;
  MPI_Op user;
  MPI_Request request;
  int i;
  fill(send, MPI_FLOAT, kSigns);
  PMPI_Allreduce(send, expected, kCount, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);

  MPI_Op_create(addFloats, 1, &user);
  MPI_Allreduce(send, recv, kCount, MPI_FLOAT, user, MPI_COMM_WORLD);
  require(memcmp(recv, expected, sizeof recv) == 0, "an op of the program");
  MPI_Type_contiguous(kCount, MPI_FLOAT, &whole);
  MPI_Type_commit(&whole);
  MPI_Allreduce(send, recv, 1, whole, user, MPI_COMM_WORLD);
  require(memcmp(recv, expected, sizeof recv) == 0, "a type of the program");
  MPI_Type_free(&whole);
  MPI_Op_free(&user);

  MPI_Iallreduce(send, recv, kCount, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD, &request);
  MPI_Wait(&request, MPI_STATUS_IGNORE);
  require(memcmp(recv, expected, sizeof recv) == 0, "MPI_Iallreduce");

  MPI_Allreduce(send, recv, kCount - 1, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  require(memcmp(recv, expected, sizeof recv - sizeof recv[0]) == 0, "a small count");

  MPI_Allreduce(send, recv, kCount, MPI_FLOAT, MPI_MAX, MPI_COMM_WORLD);
  require(recv[0] == 1 || recv[0] == -1, "the largest");

  for (i = 0; i < kCount; ++i) counters[i] = i % 2;
  MPI_Allreduce(counters, counted, kCount, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  require(counted[1] == 3 && counted[2] == 0, "counters");
}

/* Of each communicator, the first call is forwarded and the second one taken. */
static void twoCalls(const char* what, MPI_Comm comm) {
  sumIsThatOfMpi(what, MPI_FLOAT, kSigns, kOutOfPlace, comm);
  sumIsThatOfMpi(what, MPI_FLOAT, kSigns, kInPlace, comm);
}

static void communicatorsOfTheProgram(void) {
  MPI_Comm pair, copy, kept;
  int rank, i;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_split(MPI_COMM_WORLD, rank == 1, -rank, &pair); /* ranks 2 and 0, and rank 1 alone */
  twoCalls("split", pair);
  MPI_Comm_dup(pair, &copy);
  twoCalls("a duplicate", copy);
  MPI_Comm_free(&pair);
  sumIsThatOfMpi("a duplicate outlives", MPI_FLOAT, kSigns, kOutOfPlace, copy);
  MPI_Comm_free(&copy);
  for (i = 0; i < 3; ++i) { /* each takes the place of the last one in memory */
    MPI_Comm_dup(MPI_COMM_WORLD, &copy);
    sumIsThatOfMpi("one call", MPI_FLOAT, kSigns, kOutOfPlace, copy);
    MPI_Comm_free(&copy);
  }
  MPI_Comm_dup(MPI_COMM_WORLD, &kept);
  twoCalls("never freed", kept);
}

/* Between rank 1 and the others, each group gets the sum of the other one. */
static void intercommunicatorsAreForwarded(void) {
  static float send[kCount], recv[kCount], expected[kCount];
  MPI_Comm local, inter;
  int rank, i;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_split(MPI_COMM_WORLD, rank == 1, rank, &local);
  MPI_Intercomm_create(local, 0, MPI_COMM_WORLD, rank == 1 ? 0 : 1, 7, &inter);
  fill(send, MPI_FLOAT, kSigns);
  PMPI_Allreduce(send, expected, kCount, MPI_FLOAT, MPI_SUM, inter);
  for (i = 0; i < 3; ++i) {
    MPI_Allreduce(send, recv, kCount, MPI_FLOAT, MPI_SUM, inter);
    require(memcmp(recv, expected, sizeof recv) == 0, "an intercommunicator");
  }
  MPI_Comm_free(&inter);
  MPI_Comm_free(&local);
}

static void* sumInThread(void* comm) {
  int i;
  for (i = 0; i < 5; ++i) sumIsThatOfMpi("threads", MPI_FLOAT, kSigns, kOutOfPlace, *(MPI_Comm*)comm);
  return NULL;
}

static void threadsHaveCommunicatorsOfTheirOwn(void) {
  MPI_Comm comms[2];
  pthread_t threads[2];
  int i;
  for (i = 0; i < 2; ++i) MPI_Comm_dup(MPI_COMM_WORLD, &comms[i]);
  for (i = 0; i < 2; ++i) pthread_create(&threads[i], NULL, sumInThread, &comms[i]);
  for (i = 0; i < 2; ++i) pthread_join(threads[i], NULL);
  for (i = 0; i < 2; ++i) MPI_Comm_free(&comms[i]);
}

static MPI_Comm named(const char* name) {
  MPI_Comm comm;
  MPI_Comm_dup(MPI_COMM_WORLD, &comm);
  MPI_Comm_set_name(comm, name);
  return comm;
}

static void buffersOnGpusAreForwarded(void) {
  static float send[kCount], recv[kCount], expected[kCount];
  typedef void (*SetDeviceMemory)(void*, size_t);
  void* driver = dlopen("./libcuda.so.1", RTLD_NOW);
  require(driver != NULL, "the fake driver");
  fill(send, MPI_FLOAT, kSigns);
  PMPI_Allreduce(send, expected, kCount, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  ((SetDeviceMemory)dlsym(driver, "setDeviceMemory"))(recv, sizeof recv);
  MPI_Allreduce(send, recv, kCount, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  require(memcmp(recv, expected, sizeof recv) == 0, "a buffer on a GPU");
}

/* Rules with names, and with results that the program asked for. */
static void namesChooseRules(void) {
  static float send[kCount], recv[kCount], sum[kCount];
  MPI_Comm vote = named("vote"), mean = named("mean");
  int rank, i;
  fill(send, MPI_FLOAT, kSigns);
  PMPI_Allreduce(send, sum, kCount, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  MPI_Allreduce(send, recv, kCount, MPI_FLOAT, MPI_SUM, vote);
  for (i = 0; i < kCount; ++i) require(recv[i] == (sum[i] > 0 ? 1.0f : -1.0f), "a vote");
  MPI_Allreduce(send, recv, kCount, MPI_FLOAT, MPI_SUM, mean);
  for (i = 0; i < kCount; ++i) require(recv[i] == sum[i] / 3, "a mean");
  MPI_Comm_free(&vote);
  MPI_Comm_free(&mean);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  vote = named(rank == 2 ? "other" : "vote"); /* no name, since the ranks do not agree */
  twoCalls("names that differ", vote);
  MPI_Comm_free(&vote);
}

/* A rule that trusts the values makes others an error of the communicator. */
static void errorsGoToTheCommunicatorsHandler(void) {
  static float send[kCount], recv[kCount];
  char text[MPI_MAX_ERROR_STRING];
  MPI_Comm comm = named("trusted");
  int code, length, i;
  MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
  fill(send, MPI_FLOAT, kTwo);
  code = MPI_Allreduce(send, recv, kCount, MPI_FLOAT, MPI_SUM, comm); /* the first one is forwarded */
  require(code == MPI_SUCCESS, "before the rule acts");
  for (i = 0; i < 2; ++i) {
    code = MPI_Allreduce(send, recv, kCount, MPI_FLOAT, MPI_SUM, comm);
    require(code != MPI_SUCCESS, "an error");
    MPI_Error_string(code, text, &length);
    require(strstr(text, "is no sign") != NULL || strstr(text, "is 2") != NULL, text);
  }
  MPI_Comm_free(&comm);
}

#if defined(MPICH_VERSION) && MPI_VERSION >= 4
static void largeCounts(void) {
  static float send[kCount], recv[kCount], expected[kCount];
  fill(send, MPI_FLOAT, kSigns);
  PMPI_Allreduce(send, expected, kCount, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  MPI_Allreduce_c(send, recv, kCount, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  require(memcmp(recv, expected, sizeof recv) == 0, "MPI_Allreduce_c");
}
#else
static void largeCounts(void) { sumIsThatOfMpi("no MPI_Allreduce_c", MPI_FLOAT, kSigns, kOutOfPlace, MPI_COMM_WORLD); }
#endif

int main(int argc, char** argv) {
  int provided, rank;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
  require(provided == MPI_THREAD_MULTIPLE, "an MPI with threads");
  signsOfWorld();
  otherValuesFallBack();
  largeCounts();
  othersAreForwarded();
  communicatorsOfTheProgram();
  intercommunicatorsAreForwarded();
  threadsHaveCommunicatorsOfTheirOwn();
  buffersOnGpusAreForwarded();
  namesChooseRules();
  errorsGoToTheCommunicatorsHandler();
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank == 0) printf("all sums are right\n");
  return MPI_Finalize();
}
