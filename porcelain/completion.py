"""Print a completion script for a shell.

The script is made from the table of commands and from what each of them takes; it is static, and asks replican only
for refs, remotes and tracked paths. Load it where the shell starts:

    eval "$(replican completion bash)"                              # in ~/.bashrc
    source <(replican completion zsh)                               # in ~/.zshrc
    replican completion fish > ~/.config/fish/completions/replican.fish

Output: the script. Exit codes: 0 done; 2 usage.
"""

from typing import Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.params import Argument


def command(
    ctx: Context,
    shell: Annotated[str, Argument("SHELL", help="the shell: bash, zsh or fish", choices=("bash", "zsh", "fish"))],
) -> int | None:
    from replican.porcelain import _shells

    ctx.out({"bash": _shells.bash, "zsh": _shells.zsh, "fish": _shells.fish}[shell](_shells.syntax()))
    return None
