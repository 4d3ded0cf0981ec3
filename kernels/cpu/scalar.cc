// 64 bits at a time in plain C++: runs everywhere.
#include "kernels/instances.h"
#include "kernels/kernels_impl.h"

namespace signccl {
namespace {

struct ScalarWord {
  static constexpr size_t kWords = 1;
  Word word;

  SIGNCCL_WORD_OP static ScalarWord load(const Word* words, AllLanes) { return {*words}; }
  SIGNCCL_WORD_OP void store(Word* words, AllLanes) const { *words = word; }
  SIGNCCL_WORD_OP static ScalarWord fill(Word word) { return {word}; }

  SIGNCCL_WORD_OP friend ScalarWord operator&(ScalarWord a, ScalarWord b) { return {a.word & b.word}; }
  SIGNCCL_WORD_OP friend ScalarWord operator|(ScalarWord a, ScalarWord b) { return {a.word | b.word}; }
  SIGNCCL_WORD_OP friend ScalarWord operator^(ScalarWord a, ScalarWord b) { return {a.word ^ b.word}; }
  SIGNCCL_WORD_OP friend ScalarWord operator~(ScalarWord a) { return {~a.word}; }
  SIGNCCL_WORD_OP friend ScalarWord andNot(ScalarWord a, ScalarWord b) { return {a.word & ~b.word}; }
};

/// Bit b of an 8-bit number -> bit 0 of byte b.
SIGNCCL_WORD_OP uint64_t spreadBits(uint64_t byte) {
  const uint64_t in_place = (byte * 0x0101'0101'0101'0101) & 0x8040'2010'0804'0201;
  return ((in_place + 0x7F7F'7F7F'7F7F'7F7F) >> 7) & 0x0101'0101'0101'0101;
}

struct Scalar {
  using Vec = ScalarWord;
  static constexpr size_t kOutputAlignment = 1;
  static constexpr bool kCanStream = false;
  static void fence() {}

  template <typename Bits>
  SIGNCCL_WORD_OP static Word test(const unsigned char* elements, SignTest<Bits> test) {
    constexpr Bits kSignBit = static_cast<Bits>(Bits{1} << (8 * sizeof(Bits) - 1));
    const Bits limit = test.limit ^ kSignBit;  // signed order is unsigned order with the sign bit flipped
    Word result = 0;
    for (size_t e = 0; e < kWordBits; ++e) {
      Bits element;
      __builtin_memcpy(&element, elements + e * sizeof(Bits), sizeof(element));
      const Bits shifted = static_cast<Bits>(static_cast<Bits>(element + test.add) ^ kSignBit);
      result |= Word{shifted < limit} << e;
    }
    return result;
  }

  template <bool kZeros, bool kStream, typename Bits>
  SIGNCCL_WORD_OP static void expand(Word plus, Word zero, SignValues<Bits> signs, unsigned char* out) {
    const Bits difference = signs.plus ^ signs.minus;
    for (size_t e = 0; e < kWordBits; ++e) {
      const Bits is_plus = static_cast<Bits>(0 - ((plus >> e) & 1));
      Bits element = static_cast<Bits>(signs.minus ^ (is_plus & difference));
      if constexpr (kZeros) element = static_cast<Bits>(element & (((zero >> e) & 1) - 1));
      __builtin_memcpy(out + e * sizeof(Bits), &element, sizeof(element));
    }
  }

  template <typename Bits>
  struct Table {
    static constexpr int kMaxPlanes = -1;
  };

  SIGNCCL_WORD_OP static void packBytes(const Word* words, int nplanes, uint8_t* bytes) {
    for (size_t e = 0; e < kWordBits; e += 8) {
      uint64_t eight = 0;
      for (int j = 0; j < nplanes; ++j) eight |= spreadBits((words[j] >> e) & 0xFF) << j;
      __builtin_memcpy(bytes + e, &eight, sizeof(eight));
    }
  }

  template <bool kStream, size_t kBytes>
  SIGNCCL_WORD_OP static void copyBlock(const unsigned char* from, unsigned char* out) {
    __builtin_memcpy(out, from, kBytes);
  }
};

}  // namespace

constinit const Kernels kScalarKernels = makeKernels<Scalar>("scalar", everySupported);

}  // namespace signccl
