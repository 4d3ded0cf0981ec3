# SPDX-License-Identifier: Apache-2.0
"""What the programs that perf/compare.py runs have written, and what its user has."""

import argparse
import json
import re
from dataclasses import asdict, dataclass

SUFFIXES = {"": 0, "K": 10, "M": 20, "G": 30}


class WrongOutput(Exception):
    """A program's results are missing, of something else than asked for, or wrong."""


@dataclass(frozen=True)
class Measurement:
    """One run."""

    us: float  # of one collective: the whole timed loop on the slowest rank, by iteration
    bits: float  # that the busiest rank sends for each element
    algorithm: str = ""

    def as_dict(self):
        return asdict(self)


def count(text):
    """"64M" is 64 * 2^20, as in the programs' own options."""
    match = re.fullmatch(r"(\d+)([KMGkmg]?)", text)
    if not match or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of elements such as 8, 100K or 64M")
    return int(match[1]) << SUFFIXES[match[2].upper()]


def positive(text):
    if not re.fullmatch(r"\d+", text) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 on")
    return int(text)


def rate_bits(text):
    """Bits per second of a rate as tools/hosts takes it; None for "none"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmg])bit", text.lower())
    return float(match[1]) * {"k": 1e3, "m": 1e6, "g": 1e9}[match[2]] if match else None


def load(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WrongOutput(f"no results in {path.name}: {error}") from error


def only(rows, what):
    """The one row that a run of one case has."""
    if len(rows) != 1:
        raise WrongOutput(f"{len(rows)} results of {what}, expected 1")
    return rows[0]


def check_wrong(nwrong, what):
    if nwrong:
        raise WrongOutput(f"{what}: {nwrong} wrong elements")


def check_ranks(devices, nranks, nprocesses):
    """A program that knows nothing of RANK and WORLD_SIZE would measure a group of its own in every process."""
    processes = {(device["hostname"], device["pid"]) for device in devices}
    if len(devices) != nranks or len(processes) != nprocesses:
        raise WrongOutput(f"sign_all_reduce_perf ran {len(devices)} ranks in {len(processes)} processes, not {nranks} "
                          f"in {nprocesses}: does it take them from RANK and WORLD_SIZE, or from -p?")


def ours(document, op, elements, in_place):
    """From the JSON of sign_all_reduce_perf."""
    what = f"sign_all_reduce_perf {op}"
    rows = [row for row in document["results"] if row["redop"] == op and row["count"] == elements]
    row = only(rows, f"{what} with {elements} elements")
    times = row["in_place" if in_place else "out_of_place"]
    check_wrong(times["nwrong"], what)
    return Measurement(times["time"], row["bits_per_element"], row["algorithm"])


def mpi(document, op, elements, nranks):
    """From the JSON of mpi_allreduce_perf, which does not count bytes: an optimal algorithm's are taken."""
    if document["nranks"] != nranks:
        raise WrongOutput(f"mpi_allreduce_perf ran {document['nranks']} ranks, not {nranks}")
    what = f"mpi_allreduce_perf {op}"
    rows = [row for row in document["results"] if row["op"] == op and row["count"] == elements]
    row = only(rows, f"{what} with {elements} elements")
    check_wrong(row["nwrong"], what)
    return Measurement(row["mean_us"], mpi_bits(op, nranks))


def mpi_bits(op, nranks):
    """Bits per element that a rank must send: all but its own part of the vector, twice."""
    return {"fp32": 32, "int8": 8, "bits": 1}[op] * 2 * (nranks - 1) / nranks
