"""Syncthing, to be measured beside: two instances on this machine, each with a home of its own, which know each other
and nobody else, and look at changes with their shortest delay."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

DELAY_SECONDS = 1
"""The shortest: it has to be a whole number, and 0 would be taken for the default, 10."""
FOLDER = "shared"

_DEVICE = """
    <device id="{id}" name="{name}" compression="metadata"><address>tcp://127.0.0.1:{port}</address></device>"""
_CONFIG = """<configuration version="36">
    <folder id="{folder}" path="{path}" type="sendreceive" rescanIntervalS="3600" fsWatcherEnabled="true"
        fsWatcherDelayS="{delay}">
        <filesystemType>basic</filesystemType>
        <device id="{ids[0]}"></device>
        <device id="{ids[1]}"></device>
        <minDiskFree unit="%">0</minDiskFree>
    </folder>{devices}
    <gui enabled="false"></gui>
    <options>
        <listenAddress>tcp://127.0.0.1:{port}</listenAddress>
        <globalAnnounceEnabled>false</globalAnnounceEnabled>
        <localAnnounceEnabled>false</localAnnounceEnabled>
        <relaysEnabled>false</relaysEnabled>
        <natEnabled>false</natEnabled>
        <startBrowser>false</startBrowser>
        <urAccepted>-1</urAccepted>
        <autoUpgradeIntervalH>0</autoUpgradeIntervalH>
        <crashReportingEnabled>false</crashReportingEnabled>
        <reconnectionIntervalS>5</reconnectionIntervalS>
        <setLowPriority>false</setLowPriority>
        <stunServer></stunServer>
    </options>
</configuration>
"""


def is_installed() -> bool:
    return shutil.which("syncthing") is not None


@contextmanager
def syncthings(root: str, folders: tuple[str, str]) -> Iterator[None]:
    """Two instances that keep two equal folders in step, with what they need in ``root``; ended with the block."""
    homes = [f"{root}/syncthing-{number}" for number in range(2)]
    ids = []
    for home in homes:
        words = ["syncthing", "generate", f"--home={home}", "--no-default-folder", "--skip-port-probing"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        words = ["syncthing", "serve", "--device-id", f"--home={home}"]
        ids.append(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
    ports = _free_ports(2)
    told = "".join([_DEVICE.format(id=ids[each], name=f"number{each}", port=ports[each]) for each in range(2)])
    processes: list[subprocess.Popen[bytes]] = []
    with ExitStack() as held:
        for home, folder, port in zip(homes, folders, ports, strict=True):
            os.makedirs(f"{folder}/.stfolder", exist_ok=True)
            text = _CONFIG.format(folder=FOLDER, path=folder, delay=DELAY_SECONDS, ids=ids, devices=told, port=port)
            with open(f"{home}/config.xml", "w") as file:
                file.write(text)
            words = ["syncthing", "serve", f"--home={home}", "--no-restart", "--no-browser", "--no-upgrade"]
            log = held.enter_context(open(f"{home}/log", "wb"))
            process = subprocess.Popen(words, stdout=log, stderr=log)
            held.callback(_end, process)
            processes.append(process)
        time.sleep(1)
        if any(process.poll() is not None for process in processes):
            raise SystemExit(f"syncthing has ended: see {' and '.join([f'{home}/log' for home in homes])}")
        yield


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        ends = [held.enter_context(socket.socket()) for _ in range(count)]
        for end in ends:
            end.bind(("127.0.0.1", 0))
        return [end.getsockname()[1] for end in ends]


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
