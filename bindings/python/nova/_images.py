# SPDX-License-Identifier: MIT
"""Code disks, and the images that guests are made of."""
from ctypes import byref, c_char_p, c_void_p, cast
from typing import Any, Optional

from . import _ffi
from ._call import check, text
from ._host import LOG_FUNCTION


def build_disk(image: Any, source: Any = None, *, data: Optional[bytes] = None,
               entry_name: Optional[str] = None, min_size: int = 0, max_size: int = 0,
               label: Optional[str] = None, keep_modes: bool = False,
               below: Any = None) -> None:
    """Builds a read-only ext4 image from the file or directory `source`, or from one file's bytes.

    What the owner of a file may read or execute everybody may in the image, unless `keep_modes`;
    what is left out is told to the logger "nova". What is in the directory `below` is in the image,
    too, where the source has nothing of that name."""
    options = _ffi.DiskOpts(
        source=text(source),
        data=None if data is None else cast(c_char_p(data), c_void_p),
        data_len=0 if data is None else len(data),
        entry_name=text(entry_name),
        min_size=min_size,
        max_size=max_size,
        label=text(label),
        log=LOG_FUNCTION,
        flags=1 if keep_modes else 0,
        below=text(below),
    )
    check("nova_disk_build", text(image), byref(options))


def extract_disk(image: Any, directory: Any) -> None:
    """Writes the files of a build_disk() image into an empty directory.

    Links are written as they are and may lead out of it. Set-uid bits are not kept. Raises Corrupt
    for what is no such image, and leaves the directory empty then.
    """
    check("nova_disk_extract", text(image), text(directory))


def extract_kernel(bzimage: Any, vmlinux: Any) -> None:
    """Writes the uncompressed kernel of a bzImage to `vmlinux`; raises Corrupt if there is none."""
    check("nova_image_extract_kernel", text(bzimage), text(vmlinux))


def check_images(directory: Any, name: Optional[str] = None) -> None:
    """Compares the guest images of a directory with its MANIFEST: all, or the one of that name.

    Raises NotFound or Corrupt, which tell how it is made. Those in use are in Nova.images.
    """
    check("nova_image_check", text(directory), text(name))
