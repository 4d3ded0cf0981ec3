/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls functions of any signature through the stand-in, each twice: by the slow path, and by the filled slot. The
 * variable SIGNCCL_NCCL_LIBRARY names odd_nccl.c.
 */
#include "signatures.h"

#include <stdio.h>

#define DECLARE(result, name, parameters) result name parameters;
SIGNATURES(DECLARE)

static int failures;

static void expect(int is_right, const char* what, int call) {
  if (is_right) return;
  printf("call %d of %s: wrong result\n", call, what);
  ++failures;
}

static void callAll(int call) {
  int version = 0;
  expect(ncclGetVersion(&version) == 0 && version == 12345, "a function of one pointer", call);
  expect(ncclAllGather(1, 2, 0, 1, 2, 0, 1, 2, 0, 1) == 34066, "a function of ten integers", call);
  expect(ncclAlltoAll(1, 2, 0, 1, 2, 0, 1, 2, 0) == 11355, "a function of nine doubles", call);

  Large large;
  int sum = 7 * 1000 + 9;
  for (int i = 0; i < 128; ++i) {
    large.bytes[i] = (char)(i % 50);
    sum += i % 50 * (i + 1);
  }
  expect(ncclBcast(7, large, 9) == sum, "a struct of 128 bytes by value", call);

  const TwoIntegers two = ncclBroadcast(10, 3.0, 20);
  expect(two.first == 13 && two.second == 17, "a result in two registers", call);
  const FourDoubles four = ncclReduce(1.5, 4);
  expect(four.values[0] == 6 && four.values[1] == 3 && four.values[2] == 4.5 && four.values[3] == 4,
         "a result of four doubles", call);
  const Hidden hidden = ncclSend(100, 2.0);
  expect(hidden.values[0] == 100 && hidden.values[8] == 116, "a result by hidden pointer", call);
  expect(ncclRecv(1.25L, 4) == 5.0L, "a long double", call);
}

int main(void) {
  callAll(1);
  callAll(2);
  if (failures == 0) printf("all signatures are right\n");
  return failures > 0;
}
