"""Runs a module as a program until it ends or stdin closes, so that it never outlives the process that started it.

python until_stdin_closes.py MODULE ARGUMENT ...
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

PATIENCE = 5.0
"""Seconds that the program has for an orderly end."""


def _end_with_stdin() -> None:
    while sys.stdin.buffer.read(1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(1)


if __name__ == "__main__":
    del sys.argv[0]
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
