"""The end of the line. In: a real store's address. Out: 204 for every large write, everything else passed on.

So that a bench can measure the gateway without the store's CPU, while its probe meets a real server.
``/lines`` says how many lines have come, for whoever sends without counting.
"""

from __future__ import annotations

import argparse

import aiohttp
from aiohttp import web

PASSED_BYTES_MAX = 2000
REWRITTEN = {"host", "content-length", "content-encoding", "accept-encoding"}  # the body comes unpacked


def main() -> None:
    parser = argparse.ArgumentParser(description="discard large writes")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--to", required=True)
    parser.add_argument("--passed-every", type=int, default=0, help="pass one large write in so many on")
    options = parser.parse_args()
    writes = lines = 0

    async def handle(request: web.Request) -> web.Response:
        nonlocal writes, lines
        if request.path == "/lines":
            return web.Response(text=str(lines))
        body = await request.read()
        if request.path == "/write":
            lines += len(body.splitlines())
        if request.path == "/write" and len(body) > PASSED_BYTES_MAX:
            writes += 1
            if not options.passed_every or writes % options.passed_every:
                return web.Response(status=204)
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method,
                f"{options.to}{request.path_qs}",
                data=body,
                headers={k: v for k, v in request.headers.items() if k.lower() not in REWRITTEN},
            ) as answer,
        ):
            kind = answer.headers.get("Content-Type", "text/plain")
            return web.Response(
                status=answer.status, body=await answer.read(), headers={"Content-Type": kind}
            )

    application = web.Application(client_max_size=64 << 20)
    application.router.add_route("*", "/{path:.*}", handle)
    web.run_app(application, host="127.0.0.1", port=options.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
