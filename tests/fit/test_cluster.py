"""What TF_CONFIG says, and how the workers that it names find each other."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mam_keras.errors import RunError, UserError
from mam_keras.fit import cluster
from mam_keras.fit.cluster import Cluster

ROOT = Path(__file__).parents[2]
WORKERS = {"worker": ["a:1", "b:2", "c:3"]}
WITH_CHIEF = {"chief": ["a:1"], "worker": ["b:2", "c:3"]}


@pytest.fixture
def tf_config(monkeypatch):
    def set_to(cluster=None, task=None, text=None):
        monkeypatch.setenv("TF_CONFIG", text or json.dumps({"cluster": cluster, "task": task}))

    monkeypatch.delenv("TF_CONFIG", raising=False)
    return set_to


@pytest.mark.parametrize(
    "jobs, job, index, expected",
    [
        (WORKERS, "worker", 0, 0),
        (WORKERS, "worker", 2, 2),
        (WITH_CHIEF, "chief", 0, 0),
        (WITH_CHIEF, "worker", 0, 1),
        (WITH_CHIEF, "worker", "1", 2),  # as some cluster managers write it
    ],
)
def test_the_chief_is_the_first_and_the_only_one_that_writes(tf_config, jobs, job, index, expected):
    tf_config(jobs, {"type": job, "index": index})
    found = cluster.read("auto")
    assert found == cluster.read("multi_worker") == Cluster(("a:1", "b:2", "c:3"), expected)
    assert found.chief == (expected == 0)


@pytest.mark.parametrize("strategy", ["none", "mirrored"])
def test_one_machine_does_not_look_at_it(tf_config, strategy):
    tf_config(text="no JSON")
    assert cluster.read(strategy) is None


@pytest.mark.parametrize("text", [None, "{}", '{"cluster": {}}', '{"task": {"type": "worker", "index": 0}}'])
def test_without_a_cluster_auto_trains_alone_and_multi_worker_is_refused(tf_config, text):
    if text:
        tf_config(text=text)
    assert cluster.read("auto") is None
    with pytest.raises(UserError, match=r"^distribute\.strategy: expected auto, or .* Received: multi_worker, and no"):
        cluster.read("multi_worker")


@pytest.mark.parametrize(
    "jobs, task, reason",
    [
        (WORKERS, {"type": "worker", "index": 3}, "index 3 of 3 of job worker"),
        (WORKERS, {"type": "worker", "index": -1}, "index -1 of 3 of job worker"),
        (WORKERS, {"type": "worker"}, "index"),
        (WORKERS, {"type": "chief", "index": 0}, "chief"),
        (WORKERS, None, "NoneType"),
        (WORKERS | {"ps": ["d:4"]}, {"type": "worker", "index": 0}, "the jobs worker, ps"),
        ({"chief": ["a:1", "b:2"]}, {"type": "chief", "index": 0}, "the jobs chief"),
        ({"worker": ["a"]}, {"type": "worker", "index": 0}, "'a' has no port"),
        ({"worker": ["a:b"]}, {"type": "worker", "index": 0}, "invalid literal"),
        ({"worker": [1]}, {"type": "worker", "index": 0}, "int"),
    ],
)
def test_what_cannot_be_understood_is_refused_in_one_line(tf_config, jobs, task, reason):
    tf_config(jobs, task)
    with pytest.raises(UserError) as caught:
        cluster.read("auto")
    line = str(caught.value)
    assert line.startswith('TF_CONFIG: expected {"cluster": {"worker": ["HOST:PORT"')
    assert reason in line.split("Received: ")[1]
    assert "\n" not in line


def test_no_json_is_refused(tf_config):
    tf_config(text="{")
    with pytest.raises(UserError, match=r"Received: \{ \(JSONDecodeError"):
        cluster.read("auto")


# --- the meeting ---


def free_ports(count):
    with_ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in with_ports]
    for server in with_ports:
        server.close()
    return ports


@pytest.fixture
def addresses(monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 20)
    monkeypatch.setattr(cluster, "_RETRY", 0.05)
    return tuple(f"127.0.0.1:{port}" for port in free_ports(3))


class Worker(threading.Thread):
    """Meets the others in a thread; `met` is when, `error` why not."""

    def __init__(self, addresses, index):
        super().__init__(daemon=True)
        self.cluster, self.met, self.error = Cluster(addresses, index), None, None
        self.start()

    def run(self):
        try:
            cluster.meet(self.cluster)
            self.met = time.monotonic()
        except (RunError, UserError) as error:
            self.error = str(error)


def connected(host, port):
    """To a worker that may have only just been started."""
    end = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection((host, port), timeout=5)
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def test_all_go_on_together_in_whatever_order_they_come(addresses, capsys):
    """One that has gone again is waited for again, and who else calls is not counted."""
    host, port = addresses[0].split(":")
    early = Worker(addresses, 1)
    time.sleep(0.2)
    early_is_told = capsys.readouterr().out
    with socket.create_server((host, int(port))) as another_program:  # where the chief will be
        called = another_program.accept()[0]
        called.sendall(b"go")
        called.close()
    chief = Worker(addresses, 0)
    strangers = []
    for greeting in (b"GET / HTTP/1.1", b"2", Cluster(addresses, 2).greeting(3), Cluster(addresses[:2], 1).greeting(1)):
        strangers.append(connected(host, int(port)))
        strangers[-1].sendall(greeting)
    with connected(host, int(port)) as gone:
        gone.sendall(chief.cluster.greeting(2))
    time.sleep(0.3)
    assert chief.met is early.met is None
    workers = [chief, early, Worker(addresses, 2)]
    for worker in workers:
        worker.join(timeout=20)
    assert early_is_told == f"Waiting for the chief, {addresses[0]}\n"
    assert [worker.error for worker in workers] == [None] * 3
    assert max(worker.met for worker in workers) - min(worker.met for worker in workers) < 1
    for stranger in strangers:
        assert stranger.recv(100) == b""
        stranger.close()


def test_the_chief_listens_where_tf_config_says(addresses):
    chief, port = Worker(addresses, 0), int(addresses[0].split(":")[1])
    connected("127.0.0.1", port).close()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", port), timeout=1)
    for index in (1, 2):
        Worker(addresses, index)
    chief.join(timeout=20)
    assert chief.met


@pytest.mark.parametrize("name", ["127.0.0.1", "192.0.2.1"])  # as Debian calls itself; as behind a gateway
def test_a_name_of_which_this_machine_makes_something_else_is_no_obstacle(addresses, capsys, name):
    port = addresses[0].split(":")[1]
    with cluster._listening(Cluster((f"{name}:{port}", "other:1"), 0), name, int(port)) as server:
        assert server.getsockname() == ("0.0.0.0", int(port))
    assert capsys.readouterr().out.startswith(f"note: TF_CONFIG: {name} is not where others reach this machine")


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_chief_that_waits_heeds_signals(addresses, number, code):
    program = (
        "from mam_keras import command_line\n"
        "from mam_keras.fit import cluster\n"
        f"command_line.run(lambda: cluster.meet(cluster.Cluster({addresses}, 0)))"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE, text=True) as chief:
        host, port = addresses[0].split(":")
        with connected(host, int(port)) as stranger:
            stranger.sendall(b"1")
            assert stranger.recv(1) == b""
            chief.send_signal(number)
            assert chief.communicate(timeout=10)[1] == "stopped; the same command carries on\n"
    assert chief.returncode == code


CONNECTING = """
from mam_keras import command_line
from mam_keras.fit import cluster
command_line.import_tensorflow()
from mam_keras.fit import strategy
cluster.meet = lambda _: None
command_line.run(lambda: strategy.make("auto", cluster.read("auto")))
"""


def test_a_chief_that_connects_heeds_ctrl_c(addresses):
    """To a worker that has gone since they met. No Python runs meanwhile."""
    task = {"cluster": {"worker": addresses[:2]}, "task": {"type": "worker", "index": 0}}
    environment = os.environ | {"TF_CONFIG": json.dumps(task), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", CONNECTING], env=environment, stdout=subprocess.PIPE) as chief:
        assert chief.stdout.readline().startswith(b"Connecting 2 workers")
        time.sleep(1)
        chief.send_signal(signal.SIGINT)
        try:
            assert chief.wait(timeout=10) == -signal.SIGINT
        finally:
            chief.kill()


@pytest.mark.parametrize("alone, missing", [(0, "1, 2"), (1, "0")])
def test_patience_ends(addresses, monkeypatch, alone, missing):
    monkeypatch.setattr(cluster, "PATIENCE", 0.3)
    worker = Worker(addresses, alone)
    worker.join(timeout=10)
    names = ", ".join(addresses[int(index)] for index in missing.split(", "))
    assert worker.error == f"TF_CONFIG: expected all workers within 0.3 s. Received nothing from: {names}"


def test_a_port_that_is_taken_is_named(addresses):
    with socket.create_server(("", int(addresses[0].split(":")[1]))), pytest.raises(UserError) as caught:
        cluster.meet(Cluster(addresses, 0))
    assert str(caught.value) == (
        f"TF_CONFIG: expected a free port for this worker. Received: {addresses[0]} (Address already in use)"
    )


def test_one_worker_needs_no_meeting():
    cluster.meet(Cluster(("nowhere:1",), 0))
