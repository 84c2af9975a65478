# SPDX-License-Identifier: MIT
"""The settings, and where each comes from."""
from ctypes import byref, c_void_p
from dataclasses import dataclass
from typing import Any, List, Mapping, Optional, Tuple

from . import _ffi
from ._call import check, text

_SOURCES = ("default", "file", "environment", "program")


def setting_keys() -> List[str]:
    """The keys of all settings, as "pool.idle_ttl"."""
    keys, found = _ffi.lib.nova_config_keys(), []
    while keys[len(found)]:
        found.append(keys[len(found)].decode())
    return found


def setting_key(name: str) -> str:
    """pool_idle_ttl stands for pool.idle_ttl, which is no Python name."""
    return next((key for key in setting_keys() if key.replace(".", "_") == name), name)


class Config:
    """Settings for one open call; freed at the end of a with statement."""

    def __init__(self, config: Any, settings: Mapping[str, Any],
                 environment: bool = True) -> None:
        self.pointer = c_void_p()
        check("nova_config_new", byref(self.pointer))
        try:
            if not environment:
                check("nova_config_ignore_environment", self.pointer)
            check("nova_config_load", self.pointer, text(config))
            check("nova_config_load_env", self.pointer)
            for name, value in settings.items():
                if value is not None:
                    key = text(setting_key(name))
                    check("nova_config_set", self.pointer, key, text(str(value)))
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> c_void_p:
        return self.pointer

    def __exit__(self, *_unused: Any) -> None:
        _ffi.lib.nova_config_free(self.pointer)


@dataclass(frozen=True)
class Setting:
    """One setting, as open() would have it."""

    key: str
    """As in configuration files: "pool.idle_ttl"; a keyword has "_" for "."."""
    value: str
    """"" if there is none."""
    source: str
    """Where it comes from: "default", "file", "environment" or "program"."""
    description: str
    """What it does, in one line."""
    variable: Optional[str]
    """The environment variable that sets it."""


def _read(config: c_void_p, key: str) -> Setting:
    lib, name = _ffi.lib, text(key)
    variable = lib.nova_config_variable(name)
    return Setting(
        key=key,
        value=lib.nova_config_get(config, name).decode("utf-8", "replace"),
        source=_SOURCES[lib.nova_config_source(config, name)],
        description=lib.nova_config_describe(name).decode(),
        variable=variable.decode() if variable else None,
    )


def settings(config: Any = None, *, environment: bool = True, **given: Any) -> Tuple[Setting, ...]:
    """All settings as open() with the same arguments would have them; nothing is opened."""
    with Config(config, given, environment) as pointer:
        return tuple(_read(pointer, key) for key in setting_keys())
