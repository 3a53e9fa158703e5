"""What all tests need: Ctrl-C reaches them also where a shell started them in the background and so ignores it."""

import signal
import threading

import numba

# Tianshou compiles its functions in each worker, which takes longer than all tests run them; programs that tests start
# do compile.
numba.config.DISABLE_JIT = True

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
