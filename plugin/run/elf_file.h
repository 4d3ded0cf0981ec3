// SPDX-License-Identifier: Apache-2.0
// What the dynamic linker would make of a file, read from its header.
#ifndef SIGNCCL_PLUGIN_RUN_ELF_FILE_H_
#define SIGNCCL_PLUGIN_RUN_ELF_FILE_H_

#include <cstdint>
#include <optional>
#include <string>

namespace signccl::run {

struct ElfFile {
  bool is_of_this_machine = false;  ///< word size, byte order and processor are those of this program
  bool is_shared_object = false;    ///< or a program that can be loaded anywhere
  bool is_dynamic = false;          ///< it names a dynamic linker, as programs do that are not static
};

/// Reads the header; nothing if the file cannot be read or is no ELF file.
std::optional<ElfFile> readElf(const std::string& path);

/// Why the dynamic linker would not preload this file, in words; empty if it would.
std::string whyNotPreloaded(const std::string& path);

}  // namespace signccl::run

#endif  // SIGNCCL_PLUGIN_RUN_ELF_FILE_H_
