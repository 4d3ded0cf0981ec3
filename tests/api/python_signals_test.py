#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that a crash of a process that has voted with another is handled by Python's faulthandler and nobody else.

python_signals_test.py <libsignccl.so>
"""

import ctypes
import faulthandler
import os
import signal
import subprocess
import sys

UNIQUE_ID_BYTES = 128
INT8 = 0


class UniqueId(ctypes.Structure):
    _fields_ = [("internal", ctypes.c_byte * UNIQUE_ID_BYTES)]


def check(library, result):
    if result != 0:
        library.signcclGetLastError.restype = ctypes.c_char_p
        sys.exit(f"code {result}: {library.signcclGetLastError(None).decode()}")


def be_rank(path, rank):
    """Votes as one of two ranks; rank 1 then dies of a segmentation fault."""
    faulthandler.enable()
    library = ctypes.CDLL(path)
    unique_id = UniqueId()
    if rank == 0:
        check(library, library.signcclGetUniqueId(ctypes.byref(unique_id)))
        sys.stdout.buffer.write(bytes(unique_id))
        sys.stdout.buffer.flush()
    else:
        unique_id = UniqueId.from_buffer_copy(sys.stdin.buffer.read(UNIQUE_ID_BYTES))
    comm = ctypes.c_void_p()
    check(library, library.signcclCommInitRank(ctypes.byref(comm), 2, unique_id, rank))
    votes = (ctypes.c_byte * 8)(*[1] * 8)
    check(library, library.signcclAllReduceVote(votes, votes, ctypes.c_size_t(8), INT8, INT8, None, comm, None))
    if rank == 1:
        os.kill(os.getpid(), signal.SIGSEGV)


def main(path):
    command = [sys.executable, "-B", __file__, path]
    first = subprocess.Popen([*command, "0"], stdout=subprocess.PIPE)
    second = subprocess.run([*command, "1"], stdin=first.stdout, stderr=subprocess.PIPE, timeout=50, check=False)
    first.kill()
    first.wait()
    text = second.stderr.decode(errors="replace")
    if second.returncode != -signal.SIGSEGV or not text.startswith("Fatal Python error: Segmentation fault"):
        sys.exit(
            f"rank 1 ended with {second.returncode}, expected {-signal.SIGSEGV} and Python's traceback alone; "
            f"it wrote:\n{text}"
        )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        be_rank(sys.argv[1], int(sys.argv[2]))
    else:
        main(sys.argv[1])
