"""A program that never stops writing to one file, which is large.

    python tests/support/restless_writer.py FILE append|rewrite|patch

It says ``ready`` when it has begun, and ends when its input does.
"""

import os
import random
import select
import sys

MIB = 1 << 20


def append(fd: int, count: int) -> None:
    os.lseek(fd, 0, os.SEEK_END)
    os.write(fd, b"%010d" % count)


def rewrite(fd: int, count: int) -> None:
    at = count % 500
    os.pwrite(fd, NOISE[at:] + NOISE[:at], 0)
    os.pwrite(fd, NOISE, MIB)


def patch(fd: int, count: int) -> None:
    for at in range(0, os.fstat(fd).st_size, MIB):
        os.pwrite(fd, b"%d" % (count % 10), at + count % 1000)


NOISE = random.Random(1).randbytes(MIB)
WAYS = {"append": append, "rewrite": rewrite, "patch": patch}


if __name__ == "__main__":
    file, way = os.open(sys.argv[1], os.O_RDWR), WAYS[sys.argv[2]]
    number = 0
    while not select.select([sys.stdin], [], [], 0.002)[0]:
        number += 1
        way(file, number)
        if number == 1:
            print("ready", flush=True)
