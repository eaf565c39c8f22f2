"""Which part this process has in a search, by Keras Tuner's own environment variables. Imports nothing of it."""

import os

from mam_keras.errors import UserError

TUNER, ADDRESS, PORT = "KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"


def role() -> str:
    """ "alone", "chief" (hands out trials and runs none), or "worker". Raises `UserError` where a variable is missing.

    As Keras Tuner reads them: there is a chief where `KERASTUNER_ORACLE_IP` is set, and it is the one whose
    `KERASTUNER_TUNER_ID` contains "chief".
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
