// SPDX-License-Identifier: Apache-2.0
// Compares functions that are declared here with those of a header of NVIDIA, at compile time.
#ifndef SIGNCCL_DEVICE_COMPARE_DECLARATIONS_H_
#define SIGNCCL_DEVICE_COMPARE_DECLARATIONS_H_

#include <type_traits>

namespace signccl {

/// Specialised to true where `Ours` has the first members of the struct `Theirs`, which says its own size.
template <typename Ours, typename Theirs>
inline constexpr bool kIsBeginningOf = false;

/// Whether two types of parameters are passed alike: pointers to objects of one size, and other values of one size.
/// Enumerations have other names here, and options that are always null are void.
template <typename Ours, typename Theirs>
constexpr bool arePassedAlike() {
  if constexpr (std::is_same_v<Ours, Theirs>) {
    return true;
  } else if constexpr (std::is_pointer_v<Ours> && std::is_pointer_v<Theirs>) {
    using OurObject = std::remove_const_t<std::remove_pointer_t<Ours>>;
    using TheirObject = std::remove_const_t<std::remove_pointer_t<Theirs>>;
    if constexpr (std::is_void_v<OurObject> || kIsBeginningOf<OurObject, TheirObject>) {
      return true;
    } else if constexpr (std::is_function_v<OurObject>) {
      return std::is_function_v<TheirObject>;
    } else {
      return arePassedAlike<OurObject, TheirObject>();
    }
  } else {
    constexpr bool kIsOurObject = std::is_class_v<Ours> || std::is_union_v<Ours>;
    constexpr bool kIsTheirObject = std::is_class_v<Theirs> || std::is_union_v<Theirs>;
    return std::is_pointer_v<Ours> == std::is_pointer_v<Theirs> && kIsOurObject == kIsTheirObject &&
           sizeof(Ours) == sizeof(Theirs);
  }
}

/// Compared<Ours, Theirs>::areAlike(), of pointers to functions.
template <typename Ours, typename Theirs>
struct Compared;

template <typename OurResult, typename... Ours, typename TheirResult, typename... Theirs>
struct Compared<OurResult (*)(Ours...), TheirResult (*)(Theirs...)> {
  static constexpr bool areAlike() {
    if constexpr (sizeof...(Ours) == sizeof...(Theirs)) {
      return arePassedAlike<OurResult, TheirResult>() && (arePassedAlike<Ours, Theirs>() && ...);
    } else {
      return false;
    }
  }
};

}  // namespace signccl

#endif  // SIGNCCL_DEVICE_COMPARE_DECLARATIONS_H_
