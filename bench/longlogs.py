"""Folders with a log of a given length, for the benchmarks: made by the library, which takes seconds and not days."""

import os
import random

from measure import run

from replican.effects.forms import CHECKPOINT, TREE
from replican.effects.refs import HEAD
from replican.repository import Repository
from replican.values.checkpoints import Author, Checkpoint, encode_checkpoint, id_of
from replican.values.ids import BlobId, CheckpointId, TreeId, tree_id
from replican.values.trees import FILE, Entry, encode_tree


def make_log(program: str, root: str, length: int) -> None:
    """Make the folder ``root``, a replica of a few files, whose log has ``length`` checkpoints: one file differs in
    each from the one before it."""
    os.makedirs(root)
    for number in range(20):
        with open(f"{root}/file{number}", "w") as file:
            file.write(f"file {number}\n")
    run([program, "-C", root, "init"])
    run([program, "-C", root, "commit"])
    source = random.Random(length)
    with Repository(root) as repo, repo.writing("bench"):
        first = repo.head
        assert first is not None
        tree = repo.tree_of(first)
        others = [entry for entry in repo.tree(tree) if entry.name != b"file7"]
        objects: dict[bytes, tuple[bytes, bytes]] = {}
        at: CheckpointId = first
        for number in range(1, length):
            new = tree
            if number + 1 < length:
                entry = Entry(b"file7", FILE, 0o644, 7, number, BlobId(source.randbytes(32)))
                payload = encode_tree(sorted([*others, entry]))
                new = TreeId(tree_id(payload))
                objects[new] = TREE, payload
            checkpoint = Checkpoint(new, (at,), Author("bench", "0" * 16, number * 10**9), f"number {number}", 1)
            at = id_of(checkpoint)
            objects[at] = CHECKPOINT, encode_checkpoint(checkpoint)
        repo.objects.add(objects)
        repo.refs.update(HEAD, at, first, "bench", repo.who)


def add_checkpoints(program: str, root: str, count: int, round_: int) -> None:
    """``count`` edits, each recorded."""
    for number in range(count):
        with open(f"{root}/file3", "w") as file:
            file.write(f"round {round_}, edit {number}\n")
        run([program, "-C", root, "commit"])
