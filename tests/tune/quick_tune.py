"""`python quick_tune.py ARGUMENTS`: `mam_keras.tune`, in a hurry, so that tests take seconds.

Trials are measured by their accuracy alone, and a chief looks for the end of the search more often than every 20
seconds.
"""

import time

from mam_keras import child, command_line

command_line.import_tensorflow()

from mam_keras.tune import __main__  # noqa: E402

if __name__ == "__main__":
    child.MEASURED = ("accuracy",)
    sleep = time.sleep
    time.sleep = lambda seconds: sleep(min(seconds, 0.1))
    command_line.run(__main__.main)
