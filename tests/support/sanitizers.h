// SPDX-License-Identifier: Apache-2.0
// Whether the tests are built with a sanitizer, and with which. They are then several times slower and see other
// allocations.
#ifndef SIGNCCL_TESTS_SUPPORT_SANITIZERS_H_
#define SIGNCCL_TESTS_SUPPORT_SANITIZERS_H_

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SIGNCCL_TESTS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SIGNCCL_TESTS_SANITIZED 1
#endif
#endif
#ifndef SIGNCCL_TESTS_SANITIZED
#define SIGNCCL_TESTS_SANITIZED 0
#endif

#if defined(__SANITIZE_THREAD__)
#define SIGNCCL_TESTS_THREAD_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SIGNCCL_TESTS_THREAD_SANITIZED 1
#endif
#endif
#ifndef SIGNCCL_TESTS_THREAD_SANITIZED
#define SIGNCCL_TESTS_THREAD_SANITIZED 0
#endif

namespace signccl {

inline constexpr bool kSanitized = SIGNCCL_TESTS_SANITIZED != 0;

/// ThreadSanitizer, the slowest, sees races only: what runs in one thread needs a small part of its cases under it.
inline constexpr bool kThreadSanitized = SIGNCCL_TESTS_THREAD_SANITIZED != 0;

/// The allocators of sanitizers do not free their locks for a child of fork(), as that of the C library does. A child
/// hangs at its first allocation if another thread of its parent was allocating. Tests that fork while other threads
/// are busy are skipped then, with this text.
inline constexpr bool kForkedChildrenMayHang = kSanitized;
inline constexpr const char* kWhyForkedChildrenMayHang =
    "the allocators of sanitizers do not free their locks for forked children";

}  // namespace signccl

#endif  // SIGNCCL_TESTS_SUPPORT_SANITIZERS_H_
