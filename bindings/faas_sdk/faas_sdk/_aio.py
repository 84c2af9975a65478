# SPDX-License-Identifier: MIT
"""The same with asyncio."""
import asyncio
import socket
import threading

from ._client import Calls
from ._errors import FaaSError
from ._http import Request


class AsyncFaaSClient(Calls):
    """As FaaSClient, but its calls are awaited. What is cancelled here is cancelled at novad."""

    async def call(self, operation, body=None, **parameters):
        connections, cancelled = [], threading.Event()

        def use(connection):
            connections.append(connection)
            if cancelled.is_set():  # while it waited for a thread
                connection.close()
                raise FaaSError("it was cancelled", code="canceled", outcome="never_ran")

        request = Request(operation, body, parameters)
        asked = asyncio.get_running_loop().run_in_executor(
            None, self.pool.ask, request, self.headers, use)
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            cancelled.set()
            asked.add_done_callback(lambda done: done.exception())  # nobody looks at it
            for connection in connections:
                if connection.sock:
                    connection.sock.shutdown(socket.SHUT_RDWR)
            raise

    async def run_sync(self, sync):
        go_on = sync.begin()
        while not sync.is_done:
            operation, body, parameters = sync.request
            try:
                answer, error = await self.call(operation, body, **parameters), None
            except FaaSError as failed:
                answer, error = None, failed
            go_on(answer, error)
        return sync.done

    async def __aenter__(self):
        return self

    async def __aexit__(self, *unused):
        self.close()
