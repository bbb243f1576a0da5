"""A process for each part of a bench; an HTTP server on loopback that answers all requests alike, for one of them."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection


def in_process(work: Callable[..., None], *args: object) -> tuple[multiprocessing.Process, Connection]:
    """Start `work` with the sending end of a pipe as its last argument."""
    here, there = multiprocessing.get_context("spawn").Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=work, args=(*args, there), daemon=True)
    process.start()
    return process, here  # type: ignore[return-value]  # a SpawnProcess is a Process


def serve(answer: bytes, ready: Connection) -> None:
    """Answer at one port, whose number is sent first, until killed."""
    data = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer

    class Server(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, _data: bytes) -> None:
            self.transport.write(data)  # type: ignore[attr-defined]  # a Transport, by create_server

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=1024)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())
