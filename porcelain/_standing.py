"""How a folder stands with its remotes, in words: as last seen, and as the watch says that runs."""

from typing import TYPE_CHECKING

from replican.porcelain import _report as report

if TYPE_CHECKING:
    from replican.decisions.standing import Standing


def lines(watch: "Standing | None") -> list[str]:
    """What a watch that runs has to say, as far as not all is well."""
    if watch is None:
        return []
    said = ["watched, and paused: 'replican watch --resume'" if watch.paused else "watched"]
    if watch.gate is not None:
        said.append(f"gate closed: {watch.gate} ({watch.hint})")
    for name, remote in watch.remotes:
        if remote.message:
            said.append(f"{name}: {remote.state}: {remote.message}{f' ({remote.hint})' if remote.hint else ''}")
    return said


def of_remote(name: str, state: str, ahead: int, behind: int) -> str:
    """How a remote's head was to ours when it was last seen."""
    if state == "diverged":
        return f"has {behind} that you lack, and lacks {ahead}: 'replican sync {name}'"
    if state == "ahead":
        return f"lacks {report.many(ahead, 'checkpoint')} of yours: 'replican push {name}'"
    if state == "behind":
        return f"has {report.many(behind, 'checkpoint')} that you lack: 'replican merge {name}'"
    return f"not fetched from yet: 'replican sync {name}'" if state == "unknown" else "up to date when last seen"
