"""`mam_keras.tune` as the chief, that looks for the end of the search more often than every 20 seconds."""

import time

from mam_keras import command_line
from mam_keras.tune import __main__

if __name__ == "__main__":
    sleep = time.sleep
    time.sleep = lambda seconds: sleep(min(seconds, 0.1))
    command_line.run(__main__.main)
