"""Serves a GGUF file with llama.cpp's own defaults, those of its samplers included, until it is stopped.

python llamacpp_server.py FILE PORT
"""

from __future__ import annotations

import sys
import threading

import xllamacpp


def serve(path: str, port: int) -> None:
    """Serve on the loopback address; never returns."""
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.hostnames = ["127.0.0.1"]
    params.port = port
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
