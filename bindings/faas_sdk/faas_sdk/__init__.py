# SPDX-License-Identifier: MIT
"""A client of novad, the HTTP gateway of libnova. It needs nothing but Python."""
from ._aio import AsyncFaaSClient
from ._client import FaaSClient
from ._errors import FaaSError
from ._stream import Event

__version__ = "0.1.0"
__all__ = ["AsyncFaaSClient", "Event", "FaaSClient", "FaaSError"]
