"""Which part this process has in a search, by Keras Tuner's own environment variables. Imports nothing of it."""

import contextlib
import os
import socket
import time

from mam_keras.errors import RunError, UserError

PATIENCE = 3600  # seconds that a worker waits for the chief to listen; as long as Keras Tuner waits for its answers
TUNER, ADDRESS, PORT = "KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"


def role() -> str:
    """One of "alone", "chief" (which hands out trials and runs none) and "worker".

    As Keras Tuner reads them: there is a chief where `KERASTUNER_ORACLE_IP` is set, and it is the one whose
    `KERASTUNER_TUNER_ID` contains "chief". Raises `UserError` where one of the variables is missing.
    """
    if ADDRESS not in os.environ:
        return "alone"
    for name in (PORT, TUNER):
        if not os.environ.get(name):
            raise UserError(f"{name}: expected a value beside {ADDRESS}={os.environ[ADDRESS]}. Received: nothing")
    if not os.environ[PORT].isdecimal():
        raise UserError(f"{PORT}: expected a number. Received: {os.environ[PORT]!r}")
    return "chief" if "chief" in os.environ[TUNER] else "worker"


def chief() -> str:
    """Where the chief listens."""
    return f"{os.environ[ADDRESS]}:{os.environ[PORT]}"


def require_address():
    """Raises `UserError` unless the chief can listen where its workers look for it."""
    try:
        family, *_, address = socket.getaddrinfo(os.environ[ADDRESS], int(os.environ[PORT]), type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        why = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno)
        raise UserError(
            f"{ADDRESS}, {PORT}: expected an address of this machine, and a free port. Received: {chief()} ({why})"
        ) from None


def await_chief(results) -> bool:
    """Whether there is a search to take part in: True once the chief listens, False once the file `results` is there.

    Keras Tuner's chief ends with the last worker that it knows; one that comes later would wait for it in vain. Raises
    `RunError` where neither happens within `PATIENCE`.
    """
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection((os.environ[ADDRESS], int(os.environ[PORT])), 5):
            return True
        if results.exists():
            return False
        time.sleep(1)
    raise RunError(f"the chief at {chief()} does not listen, for {PATIENCE} s")
