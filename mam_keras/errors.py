"""The two ways a command ends early. Knows nothing of what raised them."""


class UserError(Exception):
    """The user's input is at fault: one line that names the file, the key, what was read and what was expected.

    The command lines print it on standard error and exit with code 2.
    """


class RunError(Exception):
    """The run cannot go on though the input was fine (a full disk, a loss that became NaN): one line, exit code 1."""


class UntrainableError(RunError):
    """The settings are to blame: with them the loss became no number, or memory ran out. Trying again is no use."""
