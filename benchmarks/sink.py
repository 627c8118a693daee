"""``discard``, but cheap. In: a real store's address. Out: 204 for every large write, all else passed on.

Unpacks and counts nothing, so that it takes next to nothing of the cores that are measured.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from urllib.parse import urlsplit

PASSED_BYTES_MAX = 2000
HEAD_END = b"\r\n\r\n"
BUFFER_BYTES = 4 << 20
LENGTH = re.compile(rb"\r\nContent-Length: *(\d+)", re.IGNORECASE)


async def serve(port: int, store: str) -> None:
    where = urlsplit(store)

    async def passed_on(request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(request.replace(HEAD_END, b"\r\nConnection: close" + HEAD_END, 1))
        answer = await reader.read(-1)
        writer.close()
        return answer

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(HEAD_END)
                length = LENGTH.search(head)
                body = await reader.readexactly(int(length[1])) if length else b""
                large = head.startswith(b"POST /write") and len(body) > PASSED_BYTES_MAX
                writer.write(b"HTTP/1.1 204 No Content" + HEAD_END if large else await passed_on(head + body))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port, limit=BUFFER_BYTES)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="discard large writes")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--to", required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.to))
