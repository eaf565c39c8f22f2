"""Which processes train one model together, as `TF_CONFIG` says, and how they find each other. No TensorFlow yet.

TensorFlow's own start waits up to an hour for the others, and meanwhile no Python runs, not even for Ctrl-C. So we
meet before it starts, on the port that TensorFlow's server of the chief will have.
"""

import contextlib
import ipaddress
import json
import os
import socket
import time
from dataclasses import dataclass

from mam_keras.errors import RunError, UserError

EXAMPLE = '{"cluster": {"worker": ["HOST:PORT", "HOST:PORT"]}, "task": {"type": "worker", "index": 0}}'
PATIENCE = 1800  # seconds that the workers wait for each other; cluster managers do not start them at once
_RETRY = 0.5  # seconds between two tries to reach the chief


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

    def greeting(self, who) -> bytes:
        """What workers say to each other, so that nobody else is taken for one. It is no secret."""
        return f"mam_keras.fit: {who} of {len(self.addresses)}\n".encode()


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
        _await_workers(cluster, host, port, until)
    else:
        print(f"Waiting for the chief, {cluster.addresses[0]}", flush=True)
        _await_chief(cluster, host, port, until)


def _await_workers(cluster, host, port, until):
    greetings = {cluster.greeting(index): index for index in range(1, len(cluster.addresses))}
    with contextlib.ExitStack() as opened:
        server = opened.enter_context(_listening(cluster, host, port))
        present, told = {}, None
        while missing := [cluster.addresses[index] for index in greetings.values() if index not in present]:
            if missing != told:
                print(f"Waiting for {', '.join(missing)}", flush=True)
                told = missing
            server.settimeout(_left(until, missing))
            with contextlib.suppress(OSError):  # too late
                connection = opened.enter_context(server.accept()[0])
                connection.settimeout(5)
                index = greetings.get(connection.recv(100))
                connection.setblocking(False)
                if index is None:  # somebody else, or a worker of another cluster
                    connection.close()
                else:
                    present[index] = connection
            present = {index: connection for index, connection in present.items() if _open(connection)}
        for connection in present.values():
            connection.sendall(cluster.greeting("chief"))


def _listening(cluster, host, port):
    """The chief's socket, at the address that `TF_CONFIG` names.

    Where other machines reach this one by another address than itself does, since it calls itself 127.0.1.1 or stands
    behind a gateway, it listens at all that it has, and says so.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, *_, (address, *_) = min(found, key=lambda one: one[0] != socket.AF_INET)
        alone = {_host_and_port(one)[0] for one in cluster.addresses} == {host}
        if not _ours(family, address) or (ipaddress.ip_address(address).is_loopback and not alone):
            print(f"note: TF_CONFIG: {host} is not where others reach this machine; listening at all its addresses")
            address = ""
        return socket.create_server((address, port), family=family)
    except OSError as error:
        why = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno)
        raise UserError(
            f"TF_CONFIG: expected a free port for this worker. Received: {cluster.addresses[0]} ({why})"
        ) from None


def _ours(family, address):
    """Whether this machine has the address."""
    with socket.socket(family) as tried:
        try:
            tried.bind((address, 0))
        except OSError:
            return False
    return True


def _await_chief(cluster, host, port, until):
    answer = cluster.greeting("chief")
    while True:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=5) as connection:
            connection.sendall(cluster.greeting(cluster.index))
            connection.settimeout(_left(until, cluster.addresses[:1]))
            if connection.recv(len(answer)) == answer:
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
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _host_and_port(address):
    host, _, port = address.rpartition(":")
    if not host:
        raise ValueError(f"{address!r} has no port")
    return host.strip("[]"), int(port)
