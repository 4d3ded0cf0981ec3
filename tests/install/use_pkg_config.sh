#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compiles a C99 program with what pkg-config says of the installed library, and runs it.
# use_pkg_config.sh <C compiler> <installed library folder> <source> <program>
set -euo pipefail
compiler=$1 libdir=$2 source=$3 program=$4

export PKG_CONFIG_PATH=$libdir/pkgconfig
read -ra flags <<<"$(pkg-config --cflags --libs signccl)"
"$compiler" -std=c99 -pedantic -Wall -Wextra -Werror "$source" "${flags[@]}" -o "$program"
LD_LIBRARY_PATH=$libdir "$program"
