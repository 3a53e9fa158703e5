#!/usr/bin/env bash
# aiohttp 3.14: a session with trust_env=True looks for a proxy at every request, in a thread of the default executor.
# With hundreds of calls a second the trips to the thread cost more than the rest of the request, and an executor that is
# busy with other work delays every call. A session without it, given a proxy that was looked up once, respects the same
# variables.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "aiohttp==3.14.5"
"$work/venv/bin/python" - <<'PY'
import asyncio
import threading
from importlib.metadata import version

import aiohttp
from aiohttp import helpers, web

looked = []
getproxies = helpers.getproxies


def counted():
    looked.append(threading.current_thread().name)
    return getproxies()


helpers.getproxies = counted


async def main():
    async def answer(request):
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/"
    found = {}
    for trust_env in (False, True):
        looked.clear()
        async with aiohttp.ClientSession(trust_env=trust_env) as session:
            for _ in range(20):
                async with session.get(url) as reply:
                    await reply.read()
        found[trust_env] = list(looked)
    await runner.cleanup()
    return found


found = asyncio.run(main())
print("aiohttp", version("aiohttp"))
print("20 requests without trust_env:", len(found[False]), "lookups")
print("20 requests with trust_env:   ", len(found[True]), "lookups, in", sorted(set(found[True])))
assert len(found[False]) == 0
assert len(found[True]) >= 20
assert "MainThread" not in found[True]
PY
echo "still so"
