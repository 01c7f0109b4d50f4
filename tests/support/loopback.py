"""A real sshd on loopback: an unprivileged port, keys of its own, for this user alone. It ends with the test."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path

CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {base}/host_key
PidFile {base}/pid
AuthorizedKeysFile {base}/authorized_keys
AuthenticationMethods publickey
UsePAM no
StrictModes no
PermitRootLogin yes
PermitUserRC no
SetEnv HOME={home} PATH={path} REPLICAN_AUTHOR_NAME=tester
"""


def find_sshd() -> str | None:
    """sshd wants to be called by its whole path, and is on few people's."""
    return shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


class NoSshdError(Exception):
    """None can be run here."""


class Loopback:
    """A running sshd; ``config`` is the file for ``ssh -F``. Stop it. Raises ``NoSshdError``."""

    def __init__(self, base: Path, home: Path, path: str) -> None:
        sshd = find_sshd()
        if sshd is None or shutil.which("ssh-keygen") is None:
            raise NoSshdError("there is no sshd")
        self.base = base
        for name in ("host_key", "key", "other_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", base / name], check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (base / "sshd_config").write_text(CONFIG.format(port=self.port, base=base, home=home, path=path))
        self.allow("")
        with open(base / "log", "wb") as log:
            self._server = subprocess.Popen([sshd, "-D", "-e", "-f", base / "sshd_config"], stderr=log)
        user = pwd.getpwuid(os.getuid()).pw_name
        self.config = base / "ssh_config"
        self.config.write_text(
            f"Host there\n HostName 127.0.0.1\n Port {self.port}\n User {user}\n IdentityFile {base}/key\n"
            f"Host *\n IdentitiesOnly yes\n StrictHostKeyChecking no\n UserKnownHostsFile {base}/known\n"
            " LogLevel ERROR\n BatchMode yes\n"
        )
        self.command = f"ssh -F {self.config}"
        self._wait()

    def allow(self, options: str) -> None:
        """Let the key in, with these options before it in ``authorized_keys``."""
        key = (self.base / "key.pub").read_text()
        (self.base / "authorized_keys").write_text(f"{options} {key}".lstrip())

    def _wait(self) -> None:
        for _ in range(200):
            if self._server.poll() is not None:
                raise NoSshdError(f"sshd does not run here: {(self.base / 'log').read_text()[-300:]}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise NoSshdError("sshd does not answer")

    def stop(self) -> None:
        """End it, and wait for it."""
        self._server.terminate()
        self._server.wait()
