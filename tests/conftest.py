"""What all tests need: Ctrl-C must reach them also where a shell started them in the background and so ignores it."""

import signal
import threading

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
