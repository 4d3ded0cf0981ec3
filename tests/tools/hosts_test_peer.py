# SPDX-License-Identifier: Apache-2.0
"""One rank of a test of tools/hosts: hosts_test_peer.py NBYTES SECONDS

Every rank sends NBYTES to rank 0. Fails if that does not work within SECONDS.
"""

import os
import socket
import sys
import time


def receive(address, nranks, nbytes, seconds):
    """As rank 0: takes all that the others send."""
    with socket.create_server(address) as server:
        server.settimeout(seconds)
        for _ in range(nranks - 1):
            connection, _ = server.accept()
            connection.settimeout(seconds)
            with connection:
                received = 0
                while data := connection.recv(1 << 16):
                    received += len(data)
            if received != nbytes:
                raise OSError(f"{received} of {nbytes} bytes came")


def send(address, nbytes, seconds):
    """As another rank. Rank 0 may be late, and a link that has just come up takes a moment to carry anything."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection(address, timeout=seconds) as connection:
                connection.sendall(bytes(nbytes))
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def main():
    address = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
    nbytes, seconds = int(sys.argv[1]), float(sys.argv[2])
    try:
        if os.environ["RANK"] == "0":
            receive(address, int(os.environ["WORLD_SIZE"]), nbytes, seconds)
        else:
            send(address, nbytes, seconds)
    except OSError as error:
        sys.exit(f"rank {os.environ['RANK']}: {error}")


main()
