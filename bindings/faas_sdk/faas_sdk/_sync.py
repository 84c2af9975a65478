# SPDX-License-Identifier: MIT
"""What it takes to make two directories the same: requests, whose answers are sent back in."""
import fnmatch
import os
import pathlib

from ._errors import FaaSError


class Sync:
    def __init__(self, instance, local_dir, remote_dir, exclude, direction, delete, dry_run):
        if direction not in ("up", "down"):
            raise ValueError(f"direction is 'up' or 'down', not {direction!r}")
        self.instance, self.local = instance, pathlib.Path(local_dir)
        self.remote, self.exclude = remote_dir.rstrip("/"), list(exclude)
        self.up, self.delete, self.dry_run = direction == "up", delete, dry_run

    def is_excluded(self, path):
        parts = path.split("/")
        return any(fnmatch.fnmatch(part, word) for word in self.exclude
                   for part in (*parts, path))

    def local_files(self):
        """{path: (size, time of change in microseconds)}"""
        found = {}
        for root, directories, names in os.walk(self.local):
            inside = pathlib.Path(root).relative_to(self.local)
            directories[:] = [name for name in directories
                              if not self.is_excluded((inside / name).as_posix())]
            for name in names:
                path, full = (inside / name).as_posix(), pathlib.Path(root, name)
                if not self.is_excluded(path) and full.is_file() and not full.is_symlink():
                    about = full.stat()
                    found[path] = (about.st_size, about.st_mtime_ns // 1000)
        return found

    def remote_files(self, entries):
        found = {}
        for entry in entries:
            path = entry["path"]
            if path.startswith(self.remote + "/"):
                path = path[len(self.remote) + 1:]
            parts = path.split("/")
            if entry["kind"] == "file" and ".." not in parts and "" not in parts \
                    and not self.is_excluded(path):
                found[path] = (entry["size"], entry["mtime_us"])
        return found

    def begin(self):
        """Makes `request` what is to be asked first. What is returned takes its answer, or the
        error, and goes on to the next, until `is_done`."""
        self.done, self.is_done = [], False
        steps = self.steps()

        def go_on(answer, error):
            try:
                self.request = steps.throw(error) if error else steps.send(answer)
            except StopIteration:
                self.is_done = True

        go_on(None, None)
        return go_on

    def steps(self):
        """Yields (operation, body, parameters)."""
        try:
            answer = yield "listFiles", None, {"id": self.instance, "path": self.remote}
            entries = answer["files"]
        except FaaSError as error:
            if error.code != "not_found":
                raise
            entries = []  # there is nothing yet
        remote, local = self.remote_files(entries), self.local_files()
        source, target = (local, remote) if self.up else (remote, local)
        wanted = [path for path, (size, changed) in sorted(source.items()) if path not in target
                  or target[path][0] != size or target[path][1] < changed]
        self.done += [("write", path) for path in wanted]
        if not self.dry_run:
            yield from self.make_directories(wanted)
            for path in wanted:
                yield from self.copy(path)
        for path in sorted(set(target) - set(source) if self.delete else ()):
            self.done.append(("remove", path))
            if not self.dry_run:
                yield from self.remove(path)

    def make_directories(self, paths):
        if not self.up or not paths:
            return
        made = sorted({os.path.dirname(f"{self.remote}/{path}") for path in paths})
        answer = yield "execInInstance", None, {
            "id": self.instance, "command": ["mkdir", "-p", "--", *made]}
        if answer["exit_code"]:
            raise FaaSError(f"cannot make the directories: {answer['stderr'].strip()}",
                            code="function_failed", outcome="ran")

    def copy(self, path):
        where = {"id": self.instance, "path": f"{self.remote}/{path}"}
        full = self.local / path
        if self.up:
            mode = full.stat().st_mode & 0o777
            yield "writeFile", full.read_bytes(), {**where, "mode": mode or 0o644}
            return
        data = yield "readFile", None, where
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_bytes(data or b"")

    def remove(self, path):
        if self.up:
            yield "removeFile", None, {"id": self.instance, "path": f"{self.remote}/{path}"}
        else:
            (self.local / path).unlink()
