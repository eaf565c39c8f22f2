"""Which processes train one model together, as `TF_CONFIG` says, and how they find each other. No TensorFlow yet.

TensorFlow's own start waits up to an hour for the others, and meanwhile no Python runs, not even for Ctrl-C. So we
meet before it starts, on the port that TensorFlow's server of the chief will have.
"""

import contextlib
import json
import os
import socket
import time
from dataclasses import dataclass

from mam_keras.errors import RunError, UserError

EXAMPLE = '{"cluster": {"worker": ["HOST:PORT", "HOST:PORT"]}, "task": {"type": "worker", "index": 0}}'
PATIENCE = 1800  # seconds that the workers wait for each other; cluster managers do not start them at once
_RETRY = 0.5  # seconds between two tries to reach the chief
_GO = b"go"


@dataclass(frozen=True)
class Cluster:
    """The workers of one training.

    Attributes:
        addresses: "host:port" of each, the chief first.
        index: which of them this process is; 0 is the chief, the only one that writes the run directory.
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def chief(self):
        return self.index == 0


def read(strategy):
    """The `Cluster` that `TF_CONFIG` describes; None where `distribute.strategy` or its absence says to train alone.

    Raises `UserError` for a `TF_CONFIG` that is missing where it is needed, or that cannot be understood.
    """
    if strategy in ("none", "mirrored"):
        return None
    text = os.environ.get("TF_CONFIG", "")
    try:
        described = json.loads(text or "{}")
        jobs = described.get("cluster") or {}
        if not jobs:
            if strategy == "multi_worker":
                raise UserError(
                    f"distribute.strategy: expected auto, or the cluster in the environment's TF_CONFIG, {EXAMPLE}. "
                    "Received: multi_worker, and no cluster"
                )
            return None
        task, index = described["task"]["type"], int(described["task"]["index"])
        if not set(jobs) <= {"chief", "worker"} or len(jobs.get("chief", ())) > 1:
            raise ValueError(f"the jobs {', '.join(jobs)}")
        if not 0 <= index < len(jobs[task]):
            raise ValueError(f"index {index} of {len(jobs[task])} of job {task}")
        addresses = (*jobs.get("chief", ()), *jobs.get("worker", ()))
        for address in addresses:
            _host_and_port(address)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"TF_CONFIG: expected {EXAMPLE}. Received: {text} ({type(error).__name__}: {error})") from None
    return Cluster(addresses, index if task == "chief" else index + len(jobs.get("chief", ())))


def meet(cluster):
    """Returns once all workers are here. Raises `RunError` where they are not within `PATIENCE`."""
    if len(cluster.addresses) == 1:
        return
    until = time.monotonic() + PATIENCE
    host, port = _host_and_port(cluster.addresses[0])
    if cluster.chief:
        _await_workers(cluster, port, until)
    else:
        print(f"Waiting for the chief, {cluster.addresses[0]}", flush=True)
        _await_chief(cluster, host, port, until)


def _await_workers(cluster, port, until):
    try:
        server = socket.create_server(("", port))
    except OSError as error:
        raise UserError(
            "TF_CONFIG: expected a free port for this worker. "
            f"Received: {cluster.addresses[0]} ({os.strerror(error.errno)})"
        ) from None
    with contextlib.ExitStack() as opened:
        opened.enter_context(server)
        present = {}
        while missing := [cluster.addresses[i] for i in range(1, len(cluster.addresses)) if i not in present]:
            print(f"Waiting for {', '.join(missing)}", flush=True)
            server.settimeout(_left(until, missing))
            with contextlib.suppress(OSError, ValueError):  # too late, or whoever it was said something else
                connection = opened.enter_context(server.accept()[0])
                connection.settimeout(5)
                present[int(connection.recv(16))] = connection
                connection.setblocking(False)
            present = {index: connection for index, connection in present.items() if _open(connection)}
        for connection in present.values():
            connection.sendall(_GO)


def _await_chief(cluster, host, port, until):
    while True:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=5) as connection:
            connection.sendall(str(cluster.index).encode())
            connection.settimeout(_left(until, cluster.addresses[:1]))
            if connection.recv(len(_GO)) == _GO:
                return
        _left(until, cluster.addresses[:1])
        time.sleep(_RETRY)


def _left(until, missing):
    """Seconds left of our patience."""
    left = until - time.monotonic()
    if left <= 0:
        raise RunError(
            f"TF_CONFIG: expected all workers within {PATIENCE} s. Received nothing from: {', '.join(missing)}"
        )
    return left


def _open(connection):
    """Whether whoever is waiting at the other end still is."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _host_and_port(address):
    host, _, port = address.rpartition(":")
    if not host:
        raise ValueError(f"{address!r} has no port")
    return host.strip("[]"), int(port)
