"""The copies that a first scan makes while it reads."""

from pathlib import Path

import pytest

from replican.effects.hashing import Job, hash_all
from replican.effects.mirror import PLACE, Mirror
from replican.effects.staging import Stage
from replican.values.ids import blob_id
from replican.values.progress import Silent
from replican.values.trees import FILE, Entry


@pytest.mark.parametrize("directory", [b"", b"a", b"a/b"], ids=["root", "directory", "deeper"])
@pytest.mark.parametrize("content", [b"hello", b"x" * 300_000], ids=["small", "large"])
def test_what_is_read_is_copied(tmp_path: Path, directory: bytes, content: bytes) -> None:
    folder = tmp_path / "folder" / directory.decode()
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(content)
    with Stage(str(tmp_path / "stage")) as stage:
        mirror = Mirror(stage)
        (_, answers), *_ = hash_all(
            str(tmp_path / "folder"), [Job(directory, [b"file"])], Silent(), workers=1, mirror=mirror
        )
        mtime_ns = (folder / "file").stat().st_mtime_ns
        assert isinstance(answers[0], tuple)
        entry = Entry(b"file", FILE, 0o644, len(content), mtime_ns, blob_id(content))
        assert mirror.copy_of(directory, entry) is not None
        assert mirror.copy_of(directory, entry._replace(mtime_ns=1)) is None
        copy = tmp_path / "stage" / PLACE.decode() / directory.decode() / "file"
        assert (copy.read_bytes(), copy.stat().st_mtime_ns) == (content, mtime_ns)
        mirror.close()
