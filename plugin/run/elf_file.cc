// SPDX-License-Identifier: Apache-2.0
#include "run/elf_file.h"

#include <cerrno>
#include <cstring>
#include <elf.h>
#include <fstream>
#include <system_error>
#include <unistd.h>

namespace signccl::run {
namespace {

#if defined(__x86_64__)
constexpr std::uint16_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr std::uint16_t kMachine = EM_AARCH64;
#else
constexpr std::uint16_t kMachine = EM_NONE;  // is not compared
#endif

static_assert(sizeof(void*) == 8, "ELF files of 64-bit machines are read");

template <typename Value>
bool readAt(std::ifstream& file, std::uint64_t place, Value& value) {
  if (place > INT64_MAX) return false;
  file.seekg(static_cast<std::streamoff>(place));
  return static_cast<bool>(file.read(reinterpret_cast<char*>(&value), sizeof value));
}

bool isOfThisMachine(const Elf64_Ehdr& header) {
  const int order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
  return header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_ident[EI_DATA] == order &&
         (kMachine == EM_NONE || header.e_machine == kMachine);
}

}  // namespace

std::optional<ElfFile> readElf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Elf64_Ehdr header{};
  if (!file || !readAt(file, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return std::nullopt;
  ElfFile elf;
  elf.is_of_this_machine = isOfThisMachine(header);
  if (!elf.is_of_this_machine) return elf;
  elf.is_shared_object = header.e_type == ET_DYN;
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    if (!readAt(file, header.e_phoff + i * header.e_phentsize, segment)) break;
    elf.is_dynamic = elf.is_dynamic || segment.p_type == PT_INTERP;
  }
  return elf;
}

std::string whyNotPreloaded(const std::string& path) {
  // LD_PRELOAD has no way to quote these.
  if (path.find_first_of(" :\t\n") != std::string::npos) return "LD_PRELOAD cannot name a path with a blank or a colon";
  if (access(path.c_str(), R_OK) != 0) return std::generic_category().message(errno);
  const std::optional<ElfFile> elf = readElf(path);
  if (!elf) return "it is no ELF file";
  if (!elf->is_of_this_machine) return "it was built for another kind of machine";
  if (!elf->is_shared_object) return "it is no shared library";
  return {};
}

}  // namespace signccl::run
