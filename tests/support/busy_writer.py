"""A user who never stops: swaps, rewrites and deletes files for as long as it is not told to stop.

    python tests/support/busy_writer.py FOLDER ASIDE SEED

It says, one a line: ``ready``, ``wrote TEXT`` before a version comes to its name, and ``dropped TEXT`` when it has
replaced or removed one: what came out of the name, not what it had expected there. It ends when its input does.
"""

import os
import random
import select
import sys
from collections.abc import Callable

from replican.effects.linux import exchange

NAMES = ["a", "b", "c.txt", "d/x", "d/y"]


class Writer:
    """``aside`` is a directory on the same file system, for what comes and goes by rename."""

    def __init__(self, folder: str, aside: str, seed: int) -> None:
        self.folder, self.aside = folder, aside
        self.rng = random.Random(seed)
        self.count = 0
        self.here, self.there = (os.open(each, os.O_RDONLY | os.O_DIRECTORY) for each in (folder, aside))

    def say(self, word: str, text: str) -> None:
        print(word, text, flush=True)

    def fresh(self) -> str:
        """A new version aside, said; its text."""
        self.count += 1
        text = f"busy-{self.count:06}"
        self.say("wrote", text)
        with open(f"{self.aside}/new", "w") as file:
            file.write(text)
        return text

    def gone(self, name: str) -> None:
        """What lies aside under ``name`` has been removed from the folder."""
        with open(f"{self.aside}/{name}") as file:
            text = file.read()
        os.unlink(f"{self.aside}/{name}")
        self.say("dropped", text)

    def replace(self, path: str) -> None:
        self.fresh()
        try:
            os.link(f"{self.aside}/new", f"{self.folder}/{path}")
            os.unlink(f"{self.aside}/new")
        except FileExistsError:
            if exchange(self.there, b"new", self.here, path.encode()):
                self.gone("new")

    def delete(self, path: str) -> None:
        os.rename(f"{self.folder}/{path}", f"{self.aside}/out")
        self.gone("out")

    def swap(self, path: str) -> None:
        exchange(self.here, path.encode(), self.here, self.rng.choice(NAMES).encode())

    def rewrite(self, path: str) -> None:
        """In place: through a descriptor, so that it is known which file it was."""
        with open(f"{self.folder}/{path}", "r+") as file:
            text = file.read()
            self.count += 1
            self.say("wrote", f"busy-{self.count:06}")
            file.seek(0)
            file.write(f"busy-{self.count:06}")
            file.truncate()
            file.flush()
            self.say("dropped", text)

    def run(self) -> None:
        acts: list[Callable[[str], None]] = [self.replace, self.replace, self.delete, self.swap, self.rewrite]
        self.say("ready", "")
        while not select.select([sys.stdin], [], [], self.rng.choice([0, 0.0005, 0.002]))[0]:
            try:
                self.rng.choice(acts)(self.rng.choice(NAMES))
            except FileNotFoundError:
                continue  # it went meanwhile, or its directory did


if __name__ == "__main__":
    Writer(sys.argv[1], sys.argv[2], int(sys.argv[3])).run()
