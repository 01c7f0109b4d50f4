"""Answer for a folder at one end of a link.

This is what runs at the other machine when a remote is reached by ssh. What is asked comes from stdin, and answers go
to stdout, in the protocol of replican-protocol(7). The folder's edits are recorded when the other end asks for its
state, so that what is offered is what the folder holds; what is pushed passes the gates here.

Nothing but this one folder is served, whatever the other end asks for. So it may stand in authorized_keys, and whoever
has that key can do nothing else: command="replican serve --stdio --root /srv/docs --read-only",restrict

Output: the protocol. What went wrong is told to the other end.

Exit codes: 0 done; 5 the link was cut, or the other end broke the protocol; 8 there is no folder.

    replican serve --stdio --root ~/Documents
"""

import os
from typing import Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.exits import exit_code
from replican.plumbing._front.params import Option
from replican.values.errors import ReplicanError, UsageError


def command(
    ctx: Context,
    stdio: Annotated[bool, Option("--stdio", help="speak on stdin and stdout")] = False,
    root: Annotated[
        str, Option("--root", metavar="DIR", help="the folder; the current one, if not given", complete="directory")
    ] = ".",
    read_only: Annotated[bool, Option("--read-only", help="take nothing in that is pushed")] = False,
) -> int | None:
    if not stdio:
        raise UsageError("there is no other way to serve than on stdin and stdout yet", "say --stdio")
    from replican.operations.serving import serve

    source, target = os.dup(0), os.dup(1)
    # Nothing else may come between what the other end reads.
    os.dup2(2, 1)
    try:
        serve(source, target, os.path.expanduser(root), read_only=read_only, wait=ctx.wait, hooks=True)
    except ReplicanError as error:
        return exit_code(error)  # it has been told, to who will say it
    return None
