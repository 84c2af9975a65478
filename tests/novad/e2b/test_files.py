# SPDX-License-Identifier: MIT
"""The files of sandboxes, by E2B's SDK."""
import io
import os

from e2bcase import E2bCase


class Files(E2bCase):
    def setUp(self):
        super().setUp()
        self.sandboxes()
        self.sandbox = self.create()
        self.files = self.sandbox.files
        self.place = self.directory / "guest"  # the fake engine's guests have the host's files
        self.place.mkdir()

    def test_they_are_written_and_read(self):
        path = f"{self.place}/new/deep/a \"b\" ä%20"
        written = self.files.write(path, "hä\n")
        self.assertEqual((written.path, written.name, written.type.value),
                         (path, "a \"b\" ä%20", "file"))
        self.assertEqual(self.files.read(path), "hä\n")
        data = bytes(range(256)) * 4000
        self.files.write(path, data)
        self.assertEqual(self.files.read(path, format="bytes"), data)
        self.files.write(path, io.BytesIO(data + b"x"))  # not as a form
        with self.files.read(path, format="stream") as stream:
            self.assertEqual(b"".join(stream), data + b"x")
        for text in ("", "\r\n--", "\r\n--x\r\n"):  # as the ends of a form begin
            self.files.write(path, text)
            self.assertEqual(self.files.read(path, format="bytes"), text.encode())
        relative = os.path.relpath(self.place / "relative", "/tmp")
        self.assertEqual(self.files.write(relative, "x").path, f"{self.place}/relative")

    def test_several_are_written_at_once(self):
        several = [{"path": f"{self.place}/{n}", "data": str(n) * n} for n in range(4)]
        written = self.files.write_files(several)
        self.assertEqual([w.path for w in written], [s["path"] for s in several])
        self.assertEqual([self.files.read(w.path) for w in written], ["", "1", "22", "333"])

    def test_what_is_there_is_listed_and_described(self):
        self.files.write(f"{self.place}/sub/b", "12345")
        self.assertTrue(self.files.make_dir(f"{self.place}/sub/c/d"))
        self.assertFalse(self.files.make_dir(f"{self.place}/sub/c"))
        self.sandbox.commands.run(f"ln -s b {self.place}/sub/link; chmod 600 {self.place}/sub/b")
        listed = self.files.list(f"{self.place}/sub/")
        self.assertEqual([(e.name, e.type.value, e.path) for e in listed], [
            (name, kind, f"{self.place}/sub/{name}")
            for name, kind in (("b", "file"), ("c", "dir"), ("link", "symlink"))])
        self.assertEqual([e.path.rpartition("/")[2]
                          for e in self.files.list(f"{self.place}/sub", depth=2)],
                         ["b", "c", "d", "link"])
        info = self.files.get_info(f"{self.place}/./sub/../sub//b")
        self.assertEqual((info.size, info.mode, info.permissions, info.name),
                         (5, 0o600, "-rw-------", "b"))
        self.assertLess(abs(info.modified_time.timestamp() -
                            (self.place / "sub/b").stat().st_mtime), 1.1)
        self.assertEqual(self.files.get_info(f"{self.place}/sub/link").symlink_target, "b")
        self.assertEqual(self.files.get_info("/").type.value, "dir")
        self.assertTrue(self.files.exists(f"{self.place}/sub"))
        self.assertFalse(self.files.exists(f"{self.place}/none"))
        self.assertFalse(self.files.exists(f"{self.place}/none/none"))

    def test_they_are_renamed_and_removed(self):
        self.files.write(f"{self.place}/a", "1")
        moved = self.files.rename(f"{self.place}/a", f"{self.place}/sub/b")
        self.assertEqual((moved.path, moved.size), (f"{self.place}/sub/b", 1))
        self.assertFalse(self.files.exists(f"{self.place}/a"))
        self.raises(self.e2b.NotFoundException, "not there", self.files.rename,
                    f"{self.place}/a", f"{self.place}/c")
        self.files.remove(f"{self.place}/sub")
        self.assertEqual(list(self.place.iterdir()), [])
        self.files.remove(f"{self.place}/sub")  # as E2B: it is gone anyway

    def post(self, sandbox, path, body, **headers):
        token = sandbox._envd_access_token  # pylint: disable=protected-access
        return self.ask("POST", path, body, E2b_Sandbox_Id=sandbox.sandbox_id,
                        X_Access_Token=token, Idempotency_Key="k", **headers)

    def form(self, name, data="x"):
        return (f'--border\r\nContent-Disposition: form-data; name="file"; '
                f'filename="{self.place}/{name}"\r\nContent-Type: application/octet-stream'
                f'\r\n\r\n{data}\r\n--border--\r\n').encode()

    def test_who_asks_again_means_the_same_sandbox_and_the_same_files(self):
        other = self.create()
        path = f"/files?path={self.place}/a"
        for sandbox in (self.sandbox, other):  # whose guests have the same files here
            answer = self.post(sandbox, path, b"x")
            replayed = answer.headers.get("Idempotency-Replayed")
            self.assertEqual((answer.status, replayed), (200, None))
            os.unlink(self.place / "a")
        answer = self.post(other, path, b"x")
        self.assertEqual((answer.status, answer.headers.get("Idempotency-Replayed")), (200, "true"))
        self.assertFalse((self.place / "a").exists())
        form = {"Content-Type": "multipart/form-data; boundary=border"}
        self.assertEqual(self.post(other, "/files", self.form("b"), **form).status, 200)
        self.assertEqual(self.post(other, "/files", self.form("b"), **form).status, 200)
        self.assertEqual(self.post(other, "/files", self.form("c"), **form).status, 422)
        self.assertFalse((self.place / "c").exists())

    def test_what_cannot_be_says_why(self):
        missing = self.e2b.FileNotFoundException
        for call in (self.files.read, self.files.get_info, self.files.list):
            self.raises(missing, "none", call, f"{self.place}/none")
        wrong = self.e2b.InvalidArgumentException
        self.raises(wrong, "", self.files.read, str(self.place))
        self.files.write(f"{self.place}/file", "x")
        self.raises(wrong, "", self.files.list, f"{self.place}/file")
        self.raises(wrong, "", self.files.write, f"{self.place}/file/below", "x")
        self.raises(wrong, "", self.files.make_dir, f"{self.place}/file/below")
        self.raises(wrong, "leave 'user' away", self.files.list, "/", user="root")
        self.raises(wrong, "leave 'user' away", self.files.read, "/x", user="root")
        self.raises(self.e2b.SandboxException, "'gzip'", self.files.write, "x", "x", gzip=True)
        self.raises(self.e2b.TemplateException, "0.6.2", self.files.write, "x", "x",
                    metadata={"a": "b"})

    def test_what_is_no_upload_is_refused(self):
        token = self.sandbox._envd_access_token  # pylint: disable=protected-access
        form = "multipart/form-data; boundary=x"
        part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="/tmp/y"\r\n\r\n1\r\n'
        for path, kind, body in (("/files", "application/octet-stream", b"x"),
                                 ("/files", form, b"nonsense"), ("/files", form, b""),
                                 ("/files", form, b"--x--\r\n"),
                                 ("/files", "multipart/form-data", part + b"--x--\r\n"),
                                 ("/files", form, part[:-6]),
                                 ("/files?path=/tmp/y", form, part + part + b"--x--\r\n")):
            answer = self.ask("POST", path, body, Content_Type=kind, X_Access_Token=token,
                              E2b_Sandbox_Id=self.sandbox.sandbox_id)
            self.assertEqual((answer.status, answer.json()["code"]), (400, 400), (body, answer))
