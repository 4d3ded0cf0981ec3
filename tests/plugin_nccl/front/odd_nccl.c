/* SPDX-License-Identifier: Apache-2.0 */
/* A "real" NCCL for the stand-in, whose functions fold everything that they are given into their results. */
#include "signatures.h"

#define DECLARE(result, name, parameters) __attribute__((visibility("default"))) result name parameters;
SIGNATURES(DECLARE)

int ncclGetVersion(int* version) {
  *version = 12345;
  return 0;
}

long ncclAllGather(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j) {
  return ((((((((a * 3 + b) * 3 + c) * 3 + d) * 3 + e) * 3 + f) * 3 + g) * 3 + h) * 3 + i) * 3 + j;
}

double ncclAlltoAll(double a, double b, double c, double d, double e, double f, double g, double h, double i) {
  return (((((((a * 3 + b) * 3 + c) * 3 + d) * 3 + e) * 3 + f) * 3 + g) * 3 + h) * 3 + i;
}

int ncclBcast(int first, Large large, int last) {
  int sum = first * 1000 + last;
  for (int i = 0; i < 128; ++i) sum += large.bytes[i] * (i + 1);
  return sum;
}

TwoIntegers ncclBroadcast(long a, double b, long c) {
  const TwoIntegers result = {a + (long)b, c - (long)b};
  return result;
}

FourDoubles ncclReduce(double scale, long a) {
  const FourDoubles result = {{scale * (double)a, scale * 2, scale * 3, (double)a}};
  return result;
}

Hidden ncclSend(long first, double second) {
  Hidden result;
  for (int i = 0; i < 9; ++i) result.values[i] = first + i * (long)second;
  return result;
}

long double ncclRecv(long double value, int times) { return value * times; }
