"""A search of several processes: which part each has, and a chief with two workers."""

import json
import socket
import time
from types import SimpleNamespace

import grpc
import pytest

from mam_keras.errors import RunError, UserError
from mam_keras.search_directory import SearchDirectory
from mam_keras.tune import cluster
from mam_keras.tune.search import Chief


def test_a_chief_and_two_workers_finish_one_search(start, ended, tmp_path):
    directory = SearchDirectory(tmp_path / "search")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    there = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(port)}
    first = start(tmp_path, 2, there | {"KERASTUNER_TUNER_ID": "worker1"})
    assert first.stdout.readline() == f"Waiting for the chief at 127.0.0.1:{port}\n"
    time.sleep(1)
    assert not directory.path.exists()  # which the chief could not open otherwise
    chief, second = (start(tmp_path, 2, there | {"KERASTUNER_TUNER_ID": name}) for name in ("chief", "worker2"))
    workers = (first, second)
    (*codes, code), (*outputs, chiefs) = zip(*map(ended, (*workers, chief)), strict=True)
    assert (*codes, code) == (0, 0, 0)
    run = [line.split(":")[0] for output in outputs for line in output.splitlines() if ": loss.lambda" in line]
    assert sorted(run) == ["trial 1 of 2", "trial 2 of 2"]  # each by one of them
    found = json.loads(directory.results.read_text())
    assert [one["number"] for one in found["trials"]] == [1, 2]
    best = max(found["trials"], key=lambda one: one["measures"]["balanced_accuracy"])
    assert found["trials"][found["best"] - 1]["measures"] == best["measures"]
    assert chiefs.count(" best\n") == 1


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"KERASTUNER_ORACLE_IP": "a"}, r"KERASTUNER_ORACLE_PORT: expected a value beside KERASTUNER_ORACLE_IP=a\."),
        ({"KERASTUNER_ORACLE_IP": "a", "KERASTUNER_ORACLE_PORT": "1"}, r"KERASTUNER_TUNER_ID: expected a value"),
        (
            {"KERASTUNER_ORACLE_IP": "a", "KERASTUNER_ORACLE_PORT": "x", "KERASTUNER_TUNER_ID": "chief"},
            r"KERASTUNER_ORACLE_PORT: expected a number\. Received: 'x'",
        ),
    ],
)
def test_half_a_cluster_is_refused(monkeypatch, environment, line):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=line):
        cluster.role()


def test_roles_are_keras_tuners(monkeypatch):
    assert cluster.role() == "alone"
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    assert cluster.role() == "alone"
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "10.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "8000")
    assert (cluster.role(), cluster.chief()) == ("chief", "10.0.0.1:8000")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker7")
    assert cluster.role() == "worker"


def test_an_address_where_the_chief_cannot_listen_is_refused(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for address, why in (("127.0.0.1", "Address already in use"), ("192.0.2.1", "Cannot assign requested address")):
            monkeypatch.setenv("KERASTUNER_ORACLE_IP", address)
            monkeypatch.setenv("KERASTUNER_ORACLE_PORT", str(port := taken.getsockname()[1]))
            with pytest.raises(UserError) as caught:
                cluster.require_address()
            assert str(caught.value).endswith(f"and a free port. Received: {address}:{port} ({why})")
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    cluster.require_address()


def test_a_worker_waits_for_the_chief_unless_the_search_is_over(monkeypatch, tmp_path):
    results = tmp_path / "tuning.json"
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("KERASTUNER_ORACLE_PORT", str(server.getsockname()[1]))
        assert cluster.await_chief(results)
    monkeypatch.setattr(cluster, "PATIENCE", 0.1)
    with pytest.raises(RunError, match="does not listen"):
        cluster.await_chief(results)
    results.touch()
    assert not cluster.await_chief(results)


def test_a_worker_waits_for_a_chief_that_is_away_and_not_for_one_that_is_done(monkeypatch, tmp_path):
    results = tmp_path / "tuning.json"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        address = nobody.getsockname()
        monkeypatch.setenv("KERASTUNER_ORACLE_IP", address[0])
        monkeypatch.setenv("KERASTUNER_ORACLE_PORT", str(address[1]))
        with grpc.insecure_channel("{}:{}".format(*address)) as channel:
            stub = SimpleNamespace(CreateTrial=channel.unary_unary("/CreateTrial"))
            results.touch()
            with pytest.raises(grpc.RpcError) as caught:
                Chief(stub, results).CreateTrial(b"", wait_for_ready=True, timeout=60)
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE  # at once, not after these 60 s
            asked = []
            monkeypatch.setattr(cluster, "await_chief", lambda _: asked.append(1) or len(asked) < 3)
            with pytest.raises(grpc.RpcError):
                Chief(stub, results).CreateTrial(b"", wait_for_ready=True, timeout=60)
    assert len(asked) == 3
