"""A tiny language for trees, so that a test's rows can be read.

A tree is a text of items, separated by spaces::

    a=1            a file a with the content "1"            d/a=1@5:600    in a directory, mtime 5 s, permissions 0600
    l>x            a symlink l to "x"                       d/  d/:700     a directory, which may be empty
    a~2@5          the conflict copy of a, of content 2 and mtime 5 s, under the name that a merge gives it
    a~2@5=3@6      the same name, with other content
    u!a=1,d/b=2    a unit u, which holds a and d/b           u~!a=1        its conflict copy, under the name of a merge

Left out: mtime 0, permissions 0644 (0755 for a directory or a unit, whose own follow a second ``!``).
:func:`show` writes the same language, sorted.
"""

import re

from replican.decisions.treediff import walk_tree
from replican.decisions.units import newest_in
from replican.values.errors import NotFoundError
from replican.values.ids import BlobId, TreeId, blob_id
from replican.values.names import copy_name, group_key
from replican.values.paths import is_below
from replican.values.trees import ATOMIC, DIRECTORY, FILE, LINK, LINK_PERM, Entry, TreeOverlay

SECOND = 1_000_000_000
_ITEM = re.compile(
    r"(?P<path>[^~=>@:]*[^~=>@:/])(?P<slash>/)?(?:~(?P<copy>[^=>@:]+)(?:@(?P<when>-?\d+))?)?"
    r"(?:(?P<sign>[=>])(?P<content>[^@:]*))?(?:@(?P<mtime>-?\d+))?(?::(?P<perm>[0-7]+))?"
)


class NoTrees:
    """A reader that has nothing below an overlay."""

    def tree(self, tree: TreeId, /) -> list[Entry]:
        raise NotFoundError(f"no tree {tree.hex()}")


class MemoryTrees(TreeOverlay):
    """Trees in memory, parsed once. ``read`` counts how often each was asked for."""

    def __init__(self) -> None:
        super().__init__(NoTrees())
        self.parsed: dict[TreeId, list[Entry]] = {}
        self.read: dict[TreeId, int] = {}
        self.contents: dict[BlobId, str] = {}
        self.add([])

    def tree(self, tree: TreeId, /) -> list[Entry]:
        self.read[tree] = self.read.get(tree, 0) + 1
        found = self.parsed.get(tree)
        if found is None:
            found = self.parsed[tree] = list(super().tree(tree))
        return found

    def blob(self, content: str) -> BlobId:
        made = blob_id(content.encode())
        self.contents[made] = content
        return made

    def build(self, entries: dict[bytes, Entry]) -> TreeId:
        """The tree of paths; directories that are not named are implied. The entries' names, and ids of directories,
        are filled in."""
        listings: dict[bytes, dict[bytes, Entry]] = {b"": {}}
        for path, entry in entries.items():
            above, _, name = path.rpartition(b"/")
            listings.setdefault(above, {})[name] = entry._replace(name=name)
            if entry.kind == DIRECTORY:
                listings.setdefault(path, {})
        for path in sorted(listings, key=lambda each: each.count(b"/"), reverse=True):
            while path:
                above, _, name = path.rpartition(b"/")
                known = above in listings
                listing = listings.setdefault(above, {})
                listing.setdefault(name, Entry(name, DIRECTORY, 0o755, 0, 0, b""))
                if known:
                    break
                path = above
        for path in sorted(listings, key=lambda each: (each.count(b"/"), each != b""), reverse=True):
            made = self.add([entry for _, entry in sorted(listings[path].items())])
            if path:
                above, _, name = path.rpartition(b"/")
                listings[above][name] = listings[above][name]._replace(id=made)
        return made


def parse(trees: MemoryTrees, text: str) -> TreeId:
    """The tree that ``text`` describes."""
    entries: dict[bytes, Entry] = {}
    for item in text.split():
        if "!" in item:
            entries.update(_parse_unit(trees, item))
            continue
        match = _ITEM.fullmatch(item)
        assert match, item
        path = match["path"].encode()
        if match["slash"]:
            entries[path] = Entry(b"", DIRECTORY, int(match["perm"] or "755", 8), 0, 0, b"")
            continue
        mtime = int(match["mtime"] or match["when"] or 0) * SECOND
        content = match["content"] if match["content"] is not None else match["copy"]
        if match["copy"] is not None:
            above, slash, name = path.rpartition(b"/")
            when = int(match["when"] or match["mtime"] or 0) * SECOND
            path = above + slash + copy_name(name, when, trees.blob(match["copy"]), ())
        kind, perm = (LINK, LINK_PERM) if match["sign"] == ">" else (FILE, int(match["perm"] or "644", 8))
        assert path not in entries, item
        entries[path] = Entry(b"", kind, perm, len(content), mtime, trees.blob(content))
    return trees.build(entries)


def _parse_unit(trees: MemoryTrees, item: str) -> dict[bytes, Entry]:
    name, inner, *perm = item.split("!")
    tree = parse(trees, inner.replace(",", " "))
    path = name.rstrip("~").encode()
    if name.endswith("~"):
        path = copy_name(path, newest_in(trees, tree), BlobId(tree), ())
    entries = {path + b"/" + below: entry for below, entry in walk_tree(trees, tree)}
    entries[path] = Entry(b"", DIRECTORY, int(perm[0] if perm else "755", 8) | ATOMIC, 0, 0, b"")
    return entries


def _show_unit(trees: MemoryTrees, path: str, entry: Entry) -> str:
    key = group_key(entry.name)
    if key != entry.name:
        assert entry.name == copy_name(key, newest_in(trees, entry.tree), entry.blob, ())
        path = path[: len(path) - len(entry.name.decode())] + key.decode() + "~"
    perm = "" if entry.perm == 0o1755 else f"!{entry.perm & 0o777:o}"
    return f"{path}!{show(trees, entry.tree).replace(' ', ',')}{perm}"


def show(trees: MemoryTrees, tree: TreeId) -> str:
    """What :func:`parse` makes ``tree`` of."""
    items: list[str] = []
    unit = None
    for raw, entry in walk_tree(trees, tree):
        path = raw.decode()
        if unit is not None and is_below(raw, unit):
            continue
        if entry.is_unit:
            unit = raw
            items.append(_show_unit(trees, path, entry))
            continue
        if entry.kind == DIRECTORY:
            perm = "" if entry.perm == 0o755 else f":{entry.perm:o}"
            if perm or not trees.tree(entry.tree):
                items.append(f"{path}/{perm}")
            continue
        content, sign = trees.contents[entry.blob], ">" if entry.kind == LINK else "="
        mtime = f"@{entry.mtime_ns // SECOND}" if entry.mtime_ns else ""
        perm = "" if entry.kind == LINK or entry.perm == 0o644 else f":{entry.perm:o}"
        text = f"{path}{sign}{content}{mtime}{perm}"
        key = group_key(entry.name)
        if key != entry.name:
            stem = path[: len(path) - len(entry.name.decode())] + key.decode()
            if entry.name == copy_name(key, entry.mtime_ns, entry.blob, ()):
                text = f"{stem}~{content}{mtime}{perm}" if sign == "=" else f"{stem}~{content}>{content}{mtime}"
            else:
                for blob, word in trees.contents.items():
                    for second in range(100):
                        if entry.name == copy_name(key, second * SECOND, blob, ()):
                            text = f"{stem}~{word}" + (f"@{second}" if second else "") + f"{sign}{content}{mtime}{perm}"
        items.append(text)
    return " ".join(sorted(items))
