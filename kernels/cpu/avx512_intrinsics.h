// SPDX-License-Identifier: Apache-2.0
// <immintrin.h> without the warnings of GCC before 13 about its own _mm512_undefined_epi32() (GCC bug 105593).
#ifndef SIGNCCL_KERNELS_CPU_AVX512_INTRINSICS_H_
#define SIGNCCL_KERNELS_CPU_AVX512_INTRINSICS_H_

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif  // SIGNCCL_KERNELS_CPU_AVX512_INTRINSICS_H_
