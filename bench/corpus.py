"""The folder that the benchmarks work on: 100,000 files of 1 to 8 KiB in 5,000 directories, the same every time."""

import os
import random

FILES = 100_000
DIRECTORIES = 5_000
TOP = 10


def directory_of(number: int, directories: int) -> str:
    """Ten top directories hold a tenth of all files each, two levels down."""
    leaf = number % directories
    return f"d{leaf % TOP}/e{leaf // TOP % 20}/f{leaf}"


def words_of(source: random.Random, length: int) -> bytes:
    """Text of at least so many bytes: words of a language that nobody speaks, some of them often, most seldom."""
    letters = "etaoinshrdlucmfw"
    words = ["".join(source.choices(letters, k=source.randint(2, 11))) for _ in range(4000)]
    weights = [1 / (number + 3) for number in range(len(words))]
    pieces: list[str] = []
    for number, word in enumerate(source.choices(words, weights, k=length // 7)):
        pieces.append(word + (".\n" if number % 13 == 12 else " "))
    return "".join(pieces).encode()


def make_corpus(root: str, files: int = FILES, directories: int = DIRECTORIES, *, text: bool = False) -> None:
    """Write the files below ``root``, which is made: bytes by chance, or text, of which no two files share much."""
    source = random.Random(7)
    pool = words_of(source, 32 << 20) if text else source.randbytes(1 << 20)
    for number in range(directories):
        os.makedirs(f"{root}/{directory_of(number, directories)}", exist_ok=True)
    for number in range(files):
        size = source.randint(1024, 8192)
        start = source.randint(0, len(pool) - size)
        with open(path_of(root, number, directories), "wb") as file:
            file.write(b"%d " % number + pool[start : start + size])


def path_of(root: str, number: int, directories: int = DIRECTORIES) -> str:
    """The path of one file."""
    return f"{root}/{directory_of(number, directories)}/file{number}.txt"


def change_one(root: str, round_: int, directories: int = DIRECTORIES) -> None:
    """Give one file other content."""
    with open(path_of(root, 4321 + round_, directories), "ab") as file:
        file.write(b"one more line, round %d\n" % round_)


def change_some(root: str, round_: int, files: int = FILES) -> None:
    """Change, create and delete: one per cent of the files in all, spread over the folder."""
    share = files // 300
    for at in range(share):
        number = (round_ * 3 * share + at * 97) % files
        path = path_of(root, number)
        if os.path.exists(path):
            with open(path, "ab") as file:
                file.write(b"changed in round %d\n" % round_)
        gone = path_of(root, (number + 31) % files)
        if os.path.exists(gone):
            os.unlink(gone)
        with open(f"{path}.new{round_}", "wb") as file:
            file.write(b"created in round %d: %d\n" % (round_, at) * 60)
