# SPDX-License-Identifier: MIT
"""What a command is given: bytes, a file with a descriptor,
or pieces that are made while it runs."""
import os
import threading
from contextlib import contextmanager
from ctypes import c_char_p, c_void_p, cast
from typing import Any, BinaryIO, Dict, Iterable, Iterator, List, Union

from . import _ffi

Stdin = Union[bytes, BinaryIO, Iterable[bytes]]
STREAMED = _ffi.CONSTANTS["NOVA_COMMAND_STREAMED"]


def _feed(pieces: Iterable[bytes], end: int, failed: List[BaseException]) -> None:
    with os.fdopen(end, "wb", buffering=0) as pipe:
        try:
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    view = view[pipe.write(view):]
        except BrokenPipeError:
            pass  # the command has ended
        except BaseException as error:
            failed.append(error)  # before it sees the end, upon which it may end


@contextmanager
def stdin_options(stdin: Stdin) -> Iterator[Dict[str, Any]]:
    """Members of VmCommandOpts, for as long as the call lasts.
    What an iterable raises is raised after it."""
    if isinstance(stdin, (bytes, bytearray)):
        yield {"stdin_data": cast(c_char_p(bytes(stdin)), c_void_p), "stdin_len": len(stdin)}
        return
    if hasattr(stdin, "fileno"):
        yield {"flags": STREAMED, "stdin_fd": stdin.fileno()}
        return
    failed: List[BaseException] = []
    ours, theirs = os.pipe()
    threading.Thread(target=_feed, args=(stdin, theirs, failed), name="nova-stdin",
                     daemon=True).start()
    try:
        yield {"flags": STREAMED, "stdin_fd": ours}
    finally:
        os.close(ours)
    if failed:
        raise failed[0]
