"""Who is named as the author of what a remote folder records: its own user, and not who asks for it."""

import os
import pwd
from pathlib import Path

import pytest
from replicas import Replicas

from replican import settings


@pytest.mark.parametrize("command", ["fetch", "pull", "push", "sync"])
def test_a_folder_that_has_a_name_for_its_user(replicas: Replicas, command: str) -> None:
    """REPLICAN_AUTHOR_NAME is "tester" here: it names who types the command."""
    replicas.clone({"f": "1"})
    replicas("a", "config", "author.name", "Ann")
    replicas.write("a/theirs", "x")
    before = {each["id"] for each in replicas.json("a", "log")}
    if command in ("push", "sync"):
        replicas.write("b/mine", "x")
    replicas("b", command, code=None)  # a push of what has diverged is refused, once the other side has recorded
    new = [each for each in replicas.json("a", "log") if each["id"] not in before and each["kind"] == "user"]
    assert {each["author"] for each in new} == ({"Ann", "tester"} if command == "sync" else {"Ann"})


def test_a_folder_of_the_same_user_goes_by_the_same_name(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    replicas.write("a/theirs", "x")
    replicas("b", "pull")
    assert {each["author"] for each in replicas.json("a", "log")} == {"tester"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_a_folder_of_somebody_else(replicas: Replicas) -> None:
    nobody = pwd.getpwnam("nobody")
    replicas.clone({"f": "1"})
    home = replicas.base / "home/.config/replican"
    home.mkdir(parents=True)
    (home / "config.toml").write_text('[author]\nname = "of who types"\n')
    for above, directories, names in os.walk(replicas.base / "a"):
        for name in [".", *directories, *names]:
            os.chown(Path(above, name), nobody.pw_uid, nobody.pw_gid)
    replicas.write("a/theirs", "x")
    replicas("b", "pull")
    assert replicas.json("a", "log")[0]["author"] == f"nobody@{settings.host_name()}"
