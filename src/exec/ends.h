// SPDX-License-Identifier: Apache-2.0
// The two ends of an exchange: a source gives the signs that a rank sends, a sink takes the result. Elements of user
// buffers are one kind of each; a fused optimizer step, which starts from gradients and momenta and ends in parameters,
// is another.
//
// Both are values: a pointer to a table of functions, which is the kind, and what the functions work on. A new kind is
// a new table, and nothing else of the library changes. The functions are called by several threads at once, for ranges
// of elements that do not overlap, and may throw only std::bad_alloc.
#ifndef SIGNCCL_EXEC_ENDS_H_
#define SIGNCCL_EXEC_ENDS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace signccl {

struct Source;
struct Sink;
struct Segment;

/// Memory of the user in which the elements of one word take `bytes_per_word` bytes, one word after the other. `begin`
/// null: memory that no other end of the segment touches.
struct UserMemory {
  const void* begin = nullptr;
  std::size_t bytes_per_word = 0;
};

/// What ranks compare of an end. Ends that differ in anything all ranks must have alike have different digests.
struct EndSignature {
  std::uint64_t digest = 0;
  const char* name = "";  ///< for messages, see ComparedEnd::name in comm/signature.h; stays as long as the end
};

struct SourceKind {
  /// Writes the signs of elements [first, first + count) to sign planes as Kernels::encodeTernary() does, or, if
  /// `positive` is null, as encodeBinary() does. `first` is a multiple of 64. Each element is encoded once.
  void (*encode)(const Source& source, const Kernels& kernels, std::size_t first, std::size_t count, Word* positive,
                 Word* nonnegative);
  /// Bytes of user memory that encoding `count` elements reads and writes.
  std::size_t (*bytesTouched)(const Source& source, std::size_t count);
  /// What encode() reads.
  UserMemory (*memory)(const Source& source);
  EndSignature (*signature)(const Source& source);
  /// Of a source of sums; null for others. encode() as Kernels::encodeSumTernary() or encodeSumBinary() does, and gives
  /// what it has met.
  std::uint32_t (*encodeSum)(const Source& source, const Kernels& kernels, std::size_t first, std::size_t count,
                             Word* positive, Word* nonnegative) = nullptr;
};

struct SinkKind {
  /// Takes votes as Kernels::decodeVote() does, for elements [first, first + count). `first` is a multiple of 64. Each
  /// element is decoded once.
  void (*decodeVote)(const Sink& sink, const Kernels& kernels, const Word* positive, const Word* nonnegative,
                     std::size_t first, std::size_t count, Store store);
  /// Takes the counts of an average or a sum as Kernels::decodeAvg() does. `means`: what each count stands for, as
  /// values of meanType().
  void (*decodeAvg)(const Sink& sink, const Kernels& kernels, Counts counts, const void* means, std::size_t first,
                    std::size_t count, Store store);
  /// The type of the values that decodeAvg() wants to look up.
  ElementType (*meanType)(const Sink& sink);
  /// Bytes of user memory that decoding `count` elements reads and writes.
  std::size_t (*bytesTouched)(const Sink& sink, std::size_t count);
  /// What decoding writes.
  UserMemory (*memory)(const Sink& sink);
  EndSignature (*signature)(const Sink& sink);
};

struct Source {
  const SourceKind* kind = nullptr;
  const void* object = nullptr;  ///< the elements, or whatever the kind works on; not owned
  ElementType type = ElementType::kFloat32;
};

struct Sink {
  const SinkKind* kind = nullptr;
  void* object = nullptr;  ///< as in Source
  ElementType type = ElementType::kFloat32;
};

/// [count] elements of `type`, which are read.
Source elementSource(ElementType type, const void* elements);

/// [count] elements of `type`, which are written.
Sink elementSink(ElementType type, void* elements);

/// True if decoding one slice of the segment may overwrite what another has yet to encode: where it writes the memory
/// that it reads, with another number of bytes per element.
bool overwritesUnread(const Segment& segment);

/// Bytes of user memory that an exchange of the segment reads and writes.
std::size_t bytesTouched(const Segment& segment);

}  // namespace signccl

#endif  // SIGNCCL_EXEC_ENDS_H_
