/* SPDX-License-Identifier: Apache-2.0 */
/* Functions under names of NCCL with other arguments and results: all ways in which a call can pass those. */
#ifndef SIGNCCL_TESTS_PLUGIN_NCCL_FRONT_SIGNATURES_H_
#define SIGNCCL_TESTS_PLUGIN_NCCL_FRONT_SIGNATURES_H_

typedef struct {
  char bytes[128];
} Large;

typedef struct {
  long first, second;
} TwoIntegers;

typedef struct {
  double values[4];
} FourDoubles;

typedef struct {
  long values[9];
} Hidden;

#define SIGNATURES(X)                                                                                                 \
  X(int, ncclGetVersion, (int* version))                                                                              \
  X(long, ncclAllGather, (long a, long b, long c, long d, long e, long f, long g, long h, long i, long j))            \
  X(double, ncclAlltoAll, (double a, double b, double c, double d, double e, double f, double g, double h, double i)) \
  X(int, ncclBcast, (int first, Large large, int last))                                                               \
  X(TwoIntegers, ncclBroadcast, (long a, double b, long c))                                                           \
  X(FourDoubles, ncclReduce, (double scale, long a))                                                                  \
  X(Hidden, ncclSend, (long first, double second))                                                                    \
  X(long double, ncclRecv, (long double value, int times))

#endif /* SIGNCCL_TESTS_PLUGIN_NCCL_FRONT_SIGNATURES_H_ */
