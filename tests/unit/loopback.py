"""Small servers on 127.0.0.1, in threads of their own, that answer as a test tells them."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from blackstart.fleet.model import Fleet

Answer = Callable[[str], bytes | None]
"""The raw answer to a request, by its head. None: never; empty: the connection is closed instead."""


def http(body: object, status: str = "200 OK", headers: str = "") -> bytes:
    """A raw HTTP answer; anything but bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n{headers}\r\n".encode() + content


class Server:
    """Answers with `answer`; afterwards it closes the connection if `close`. `heads` are the requests that came."""

    def __init__(self, answer: Answer, close: bool = False) -> None:
        self.answer = answer
        self.close = close
        self.heads: list[str] = []
        self.connections = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._loop.set_task_factory(asyncio.eager_task_factory)
        self._open: dict[socket.socket, asyncio.Task[None]] = {}

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}/"

    def __enter__(self) -> Server:
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.again()
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def again(self) -> None:
        """Listen, on the same port as before."""
        self._call(self._listen())

    def shut(self) -> None:
        """Refuse new connections and reset those that are open, as when the process is killed."""
        self._call(self._shut())

    def drop(self) -> None:
        """Close the connections that are open."""
        self._call(self._drop())

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(5)

    async def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=1000)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        conn, _ = self._listener.accept()
        conn.setblocking(False)
        if self.close:
            # Answer and end leave in one packet: a starved server must not look like one that is still there.
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        self.connections += 1
        task = self._loop.create_task(self._serve(conn))
        if not task.done():
            self._open[conn] = task

    async def _shut(self) -> None:
        if self._listener.fileno() == -1:
            return
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for conn in self._open:
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self._drop()

    async def _drop(self) -> None:
        tasks = list(self._open.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, conn: socket.socket) -> None:
        with conn, suppress(OSError, asyncio.CancelledError):
            await self._answer(conn)
        self._open.pop(conn, None)

    async def _answer(self, conn: socket.socket) -> None:
        data = b""
        while more := await self._loop.sock_recv(conn, 1 << 16):
            data += more
            if data.startswith(b"\x16"):  # the beginning of TLS: say so in plain words, as servers do
                await self._loop.sock_sendall(conn, http({}, "400 Bad Request"))
                return
            while b"\r\n\r\n" in data:
                head, data = data.split(b"\r\n\r\n", 1)
                self.heads.append(head.decode())
                if (answer := self.answer(head.decode())) is None:
                    await asyncio.sleep(60)
                await self._loop.sock_sendall(conn, answer or b"")
                if self.close or not answer:
                    return


@contextmanager
def black_hole() -> Iterator[str]:
    """An address to which connections neither open nor fail: its backlog is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def free_address() -> str:
    """An address on which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"


def fleet(**changes: Any) -> Fleet:
    """Regions us and eu, a service in both, one link; `changes` replace or add keys."""

    def region(name: str) -> dict[str, Any]:
        cluster = {"kubeconfig": f"/nowhere/{name}.yaml", "context": name, "uid": f"uid-{name}"}
        return {"cluster": cluster, "place": "here"}

    entry = {"url": "http://127.0.0.1:1/", "place": "here"}
    path = {"place": "here", "address": "127.0.0.1:1"}
    end = {"place": "here", "interface": "eth0"}
    return Fleet.model_validate(
        {
            "fleet": "test",
            "regions": {"us": region("us"), "eu": region("eu")},
            "places": {"here": {}},
            "links": {"us-eu": {"between": ["us", "eu"], "ends": [end, end], "paths": [path]}},
            "services": {
                "shop": {
                    "tier": 1,
                    "entry": entry,
                    "direct": {"us": entry, "eu": entry},
                    "workloads": {r: {"namespace": "prod", "deployment": "shop"} for r in ("us", "eu")},
                }
            },
            "roles": {"primary": "us", "standby": "eu", "frontend": "shop"},
            **changes,
        }
    )
