# SPDX-License-Identifier: Apache-2.0
"""One rank of a job: compares Lion steps with those of NumPy, and 1,000 steps of all ranks with each other."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import signccl
from lion_cases import RULES, Job, at_random, systematic

with signccl.Communicator.from_env(timeout=30) as comm:
    jobs = [Job(systematic(number, comm.nranks, nsteps=100)) for number in (3, len(RULES) - 2)]
    jobs += [Job(case) for case in map(at_random, range(1000, 1030)) if case.nranks == comm.nranks]
    jobs.append(Job(systematic(len(RULES) - 1, comm.nranks, nsteps=1000)))
    wrong = next(filter(None, (job.first_wrong(comm) for job in jobs)), None)
    sys.exit(wrong)
