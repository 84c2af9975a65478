# SPDX-License-Identifier: MIT
"""AWS Lambda's API, for its clients: boto3 as it is, and requests that are signed by hand."""
import base64
import datetime
import hashlib
import hmac
import json
import subprocess
import threading
import time
import unittest
import urllib.parse

from novadcase import NOVAD, NovadCase, credentials
from novatest import await_that

FUNCTIONS = "/2015-03-31/functions"
DEBIAN = "/usr/bin/python3"  # which has Debian's boto3


def signed(method, path, body, access, *, headers=(), time_=None, region="eu-x-1",
           service="lambda", unsigned=(), key_date=None, terminator="aws4_request",
           query=""):
    """The headers of Signature Version 4, as its documentation describes them."""
    now = time_ or datetime.datetime.now(datetime.timezone.utc)
    stamp = now if isinstance(now, str) else now.strftime("%Y%m%dT%H%M%SZ")
    date = key_date or stamp[:8]
    scope = f"{date}/{region}/{service}/{terminator}"
    given = {"host": "localhost", "x-amz-date": stamp, **dict(headers)}
    named = {name: value for name, value in given.items() if name not in unsigned}
    names = ";".join(sorted(named))
    lines = "".join(f"{name}:{named[name]}\n" for name in sorted(named))
    request = "\n".join([method, urllib.parse.quote(path, safe="/~"), query, lines, names,
                         hashlib.sha256(body).hexdigest()])
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope,
                      hashlib.sha256(request.encode()).hexdigest()])
    key = ("AWS4" + access[1]).encode()
    for part in (date, region, service, terminator):
        key = hmac.digest(key, part.encode(), "sha256")
    value = hmac.new(key, text.encode(), "sha256").hexdigest()
    given["authorization"] = (f"AWS4-HMAC-SHA256 Credential={access[0]}/{scope}, "
                              f"SignedHeaders={names}, Signature={value}")
    return given


class LambdaCase(NovadCase):
    ECHO = "def handler(event):\n    return event"

    def send(self, body=b"{}", *, name="echo", method="POST", access=None, change=None,
             sent_body=None, length=None, path=None, query="", send_query=None, **signing):
        path = path or f"{FUNCTIONS}/{name}/invocations"
        headers = signed(method, path, body, access or self.access, query=query, **signing)
        headers.update(change or {})
        query = send_query if send_query is not None else query
        connection = self.connection()
        connection.putrequest(method, path + (f"?{query}" if query else ""), skip_host=True,
                              skip_accept_encoding=True)
        data = body if sent_body is None else sent_body
        for header, value in headers.items():
            if value is not None:
                connection.putheader(header, value)
        connection.putheader("Content-Length", str(len(data) if length is None else length))
        connection.putheader("Connection", "close")
        connection.endheaders(data)
        return connection.getresponse()

    def fails(self, status, kind, part="", **named):
        answer = self.send(**named)
        body = json.loads(answer.read())
        self.assertEqual((answer.status, answer.headers["x-amzn-ErrorType"]), (status, kind), body)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertRegex(answer.headers["x-amzn-RequestId"], "^[0-9a-f]{32}$")
        self.assertEqual(sorted(body), ["Message", "Type", "message"])
        self.assertIn(part, body["message"])
        return body


class Signatures(LambdaCase):
    def setUp(self):
        super().setUp()
        self.register("echo", self.ECHO)
        self.process = self.novad("--access-log", self.directory / "access.log")
        self.access = credentials(self, self.key_name)

    def ok(self, **named):
        answer = self.send(**named)
        body = answer.read()
        self.assertEqual(answer.status, 200, body)
        return body

    def test_a_signed_request_runs_and_runs_again_within_its_time(self):
        body = '{"a": "ä"}'.encode()
        self.assertEqual(json.loads(self.ok(body=body)), {"a": "ä"})
        at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=200)
        for _ in range(2):  # as with AWS, which remembers none
            self.ok(time_=at)
        self.ok(headers={"x-amz-meta-b": "a b c", "content-type": "text/plain"}.items(),
                change={"x-amz-meta-b": "  a  b   c  "})
        self.ok(query="Qualifier=%24LATEST")
        self.ok(name="arn%3Aaws%3Alambda%3Aeu-x-1%3A123456789012%3Afunction%3Aecho")
        line = json.loads((self.directory / "access.log").read_text().splitlines()[0])
        self.assertEqual((line["key"], line["status"]), (self.key_name, 200))

    def test_what_is_not_signed_so_is_refused_as_aws_does(self):
        minutes = datetime.timedelta(minutes=1)
        now = datetime.datetime.now(datetime.timezone.utc)
        wrong = (self.access[0], "x" * 40)
        mismatch = "The request signature we calculated does not match"
        for part, named in (
                (mismatch, {"access": wrong}),
                (mismatch, {"body": b"{}", "sent_body": b"[]"}),
                (mismatch, {"change": {"x-amz-date": now.strftime("%Y%m%dT%H%M%SZ")},
                            "time_": now - minutes}),
                (mismatch, {"query": "Qualifier=1", "send_query": "Qualifier=2"}),
                (mismatch, {"query": "", "send_query": "Qualifier=2"}),
                (mismatch, {"headers": (("x-amz-log-type", "Tail"),),
                            "change": {"x-amz-log-type": "None"}}),
                (mismatch, {"headers": (("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),)}),
                (mismatch, {"headers": (("x-amz-content-sha256",
                                         "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),)}),
                (mismatch, {"headers": (("x-amz-content-sha256", "0" * 64),)}),
                ("Signature expired: ", {"time_": now - 6 * minutes}),
                ("Signature not yet current: ", {"time_": now + 6 * minutes}),
                ("'Host' must be a 'SignedHeader'", {"unsigned": ("host",)}),
                ("'x-amz-date' must be a 'SignedHeader'", {"unsigned": ("x-amz-date",)}),
                ("'x-amz-log-type' must be a 'SignedHeader'",
                 {"change": {"x-amz-log-type": "Tail"}}),
                ("correct service: 'lambda'", {"service": "s3"}),
                ("valid terminator: 'aws4_request'", {"terminator": "aws5"}),
                ("valid region", {"region": "EU"}),
                ("does not match YYYYMMDD", {"key_date": "20200101"})):
            with self.subTest(named=str(named)):
                self.fails(403, "InvalidSignatureException", part, **named)
        right = signed("POST", f"{FUNCTIONS}/echo/invocations", b"{}", self.access)
        auth = right["authorization"]
        for part, value in (
                ("'Signature' parameter", auth.replace(", Signature=", ", S=")),
                ("'Credential' parameter", auth.replace("Credential=", "C=")),
                ("'SignedHeaders' parameter", auth.replace("SignedHeaders=", "S=")),
                ("missing equal-sign", auth + ", x"),
                ("Unsupported AWS 'algorithm'", auth.replace("-SHA256 ", "-SHA1 ")),
                ("exactly 5 slash-delimited", auth.replace("/lambda", "")),
                ("exactly 5 slash-delimited", auth.replace("/lambda", "/lambda/x"))):
            with self.subTest(part=part):
                self.fails(403, "IncompleteSignatureException", part,
                           change={"authorization": value})
        self.fails(403, "IncompleteSignatureException", "'X-Amz-Date' or a 'Date' header",
                   change={"x-amz-date": None})
        for stamp in ("2026", "20261350T000000Z", "", "x" * 5000):
            self.fails(403, "IncompleteSignatureException", "ISO-8601" if stamp else "",
                       time_=stamp or "x")
        self.fails(403, "MissingAuthenticationTokenException", change={"authorization": None})
        for name in ("none", "x" * 500, "a%00b", "\xff"):
            self.fails(403, "UnrecognizedClientException", "security token",
                       access=(name, self.access[1]), change={})
        self.fails(403, "UnrecognizedClientException", "security token",
                   change={"authorization": None, "x-api-key": "x" * 20})
        self.fails(403, "UnrecognizedClientException", "security token",
                   headers=(("x-amz-security-token", "x"),))
        self.assertNotIn(self.access[1], self.log())
        self.is_refused(401, "unauthorized", "GET", "/api/v1/functions", key=False,
                        **signed("GET", "/api/v1/functions", b"", self.access))
        self.ok()

    def test_the_query_is_signed_by_names_and_as_it_is_read(self):
        # "MaxItems" before "MaxItems-": '-' comes before the '=' that ends a name
        wrong_order = "MaxItems-=1&MaxItems=2"
        for query, send, part in (
                ("MaxItems=2&MaxItems-=1", wrong_order, "no field 'MaxItems-'"),
                (wrong_order, wrong_order, "does not match"),
                ("Marker=a%20b", "Marker=a+b", None), ("Marker=a%2Bb", "Marker=a%2bb", None),
                ("Marker=a%2Bb", "Marker=a+b", "does not match"),
                ("Marker=%25", "Marker=%", "does not match"),
                ("&".join(["Marker=a"] * 64), "&".join(["Marker=a"] * 65), "does not match")):
            with self.subTest(send=send):
                answer = self.send(b"", method="GET", path=FUNCTIONS, query=query, send_query=send)
                body = json.loads(answer.read())
                self.assertEqual(answer.status, 200 if not part else
                                 400 if "field" in part else 403, body)
                self.assertIn(part or "", body.get("message", ""))

    def test_a_key_has_its_calls_however_it_is_told(self):
        self.stops(self.process)
        self.process = self.novad("--key-calls", "1")
        key = self.novactl("apikey", "create", "ci").stdout.strip()
        ci = credentials(self, "ci")
        begun, end = self.directory / "begun", self.directory / "end"
        self.register("wait", "import pathlib, time\ndef handler(event):\n"
                      f"    pathlib.Path({str(begun)!r}).touch()\n"
                      f"    while not pathlib.Path({str(end)!r}).exists(): time.sleep(0.01)")
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.ask(
            "POST", "/functions/wait/invoke", key=False, x_api_key=key).status))
        thread.start()
        await_that(begun.exists, "a call with the key is under way")
        self.fails(429, "TooManyRequestsException", access=ci)
        end.touch()
        thread.join()
        self.assertEqual(answers, [200])
        self.ok(access=ci)

    def test_a_revoked_key_and_one_that_took_its_name_are_told_apart(self):
        self.novactl("apikey", "create", "ci")
        old = credentials(self, "ci")
        self.ok(access=old)
        self.novactl("apikey", "revoke", "ci")
        refused = self.run_program(NOVAD, "--aws-credentials", "ci", timeout=60)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("not valid any more", refused.stderr)
        await_that(lambda: self.send(access=old).status == 403, "a second, and it is out")
        self.novactl("apikey", "delete", "ci")
        self.novactl("apikey", "create", "ci")
        new = credentials(self, "ci")
        self.assertNotEqual(old[1], new[1])
        await_that(lambda: self.send(access=new).status == 200, "the new one is in")
        self.fails(403, "InvalidSignatureException", access=old)

    def test_a_wrong_signature_does_not_cost_the_key_anything(self):
        self.novactl("apikey", "create", "ci", "--rate", "2/h", "--burst", "2")
        ci = credentials(self, "ci")
        for _ in range(5):
            self.fails(403, "InvalidSignatureException", access=("ci", "x" * 40))
        self.ok(access=ci)
        self.ok(access=ci)
        self.fails(429, "TooManyRequestsException", access=ci)

    def test_who_knows_but_the_name_of_a_key_takes_nobodys_room(self):
        self.stops(self.process)
        process = self.novad("--max-calls", "8")
        path = f"{FUNCTIONS}/echo/invocations"
        forged = signed("POST", path, b"", (self.access[0], "x" * 40))
        lines = [f"{name}: {value}" for name, value in forged.items() if name != "host"]
        head = self.head("POST", path, "Content-Length: 8000000", "Connection: close", *lines)
        head = head.replace(f"x-api-key: {self.key}\r\n".encode(), b"")
        waiting = [self.raw(head) for _ in range(2)]
        await_that(lambda: self.send().status == 503, "they have a share of their own")
        answers = [self.read_all(self.raw(head)) for _ in range(8)]
        self.assertEqual({answer.split(b"\r\n", 1)[0] for answer in answers},
                         {b"HTTP/1.1 503 Service Unavailable"})
        self.assertEqual(self.ask("POST", "/functions/echo/invoke", b"1").body, b"1")
        self.assertEqual(self.ask("GET", "/api/v1/functions").status, 200)
        named = (("x-amz-content-sha256", hashlib.sha256(b"{}").hexdigest()),)
        self.ok(headers=named)  # its signature is known to be right before its body comes
        self.fails(503, "ServiceException", "X-Amz-Content-Sha256")
        self.fails(403, "InvalidSignatureException", headers=named, sent_body=b"[]")
        for raw in waiting:
            raw.close()
        await_that(lambda: self.send().status == 200, "there is room again")
        self.stops(process)

    def test_a_signing_key_that_others_read_is_none(self):
        self.assertEqual(credentials(self, self.key_name), self.access)
        path = self.home / "novad/signing.key"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        path.chmod(0o640)
        self.refuses_to_start("chmod 600", "--aws-credentials", self.key_name)
        path.chmod(0o600)
        path.write_text("x" * 64)
        self.refuses_to_start("no signing key", "--aws-credentials", self.key_name)
        self.refuses_to_start("none", "--aws-credentials", "none",
                              "--signing-key", self.directory / "another")


class Invocations(LambdaCase):
    def setUp(self):
        super().setUp()
        self.process = self.novad()
        self.access = credentials(self, self.key_name)

    def header(self, **headers):
        return {f"x-amz-{name.replace('_', '-')}": value for name, value in headers.items()}.items()

    def test_what_cannot_be_called_is_told_in_lambdas_words(self):
        self.register("echo", self.ECHO)
        for status, kind, named in (
                (404, "ResourceNotFoundException", {"name": "none"}),
                (404, "ResourceNotFoundException", {"name": "echo%3A7"}),
                (404, "ResourceNotFoundException",
                 {"name": "none", "headers": self.header(invocation_type="Event")}),
                (404, "ResourceNotFoundException",
                 {"name": "none", "headers": self.header(invocation_type="DryRun")}),
                (400, "InvalidRequestContentException", {"body": b"{"}),
                (400, "InvalidRequestContentException", {"body": b"1\0"}),
                (400, "InvalidRequestContentException",
                 {"body": b"nonsense", "headers": self.header(invocation_type="Event")}),
                (400, "InvalidParameterValueException",
                 {"headers": self.header(invocation_type="x")}),
                (400, "InvalidParameterValueException", {"headers": self.header(log_type="x")}),
                *((400, "InvalidRequestContentException",
                   {"headers": self.header(client_context=told)})
                  for told in ("", "e30", "W10=", "e3", base64.b64encode(
                      b'{"a":"%s"}' % (b"x" * 4000)).decode())),
                (400, "InvalidParameterValueException", {"name": "echo%3A1",
                                                        "query": "Qualifier=2"}),
                *((400, "InvalidParameterValueException", {"name": name})
                  for name in ("a%20b", "a%24b", "echo%3A1%3A2", "echo%3A%24x", "echo%3A")),
                (400, "InvalidParameterValueException", {"query": "a=b"})):
            with self.subTest(named=str(named)):
                self.fails(status, kind, **named)
        self.fails(404, "UnknownOperationException", path=f"{FUNCTIONS}/echo/nonsense")
        for trick in ("%2e%2e", "%00", "echo%00", "a%2fb", "", "%zz"):
            self.fails(404, "UnknownOperationException", name=trick)
        self.fails(405, "UnknownOperationException", path=FUNCTIONS)
        self.fails(413, "RequestTooLargeException", length=9 << 20)

    def test_an_event_goes_on_when_it_has_been_answered(self):
        done = self.directory / "done"
        self.register("late", f"import pathlib, time\ndef handler(event):\n    time.sleep(0.2)\n"
                      f"    pathlib.Path({str(done)!r}).write_text(event)")
        answer = self.send(b'"written"', name="late", headers=self.header(invocation_type="Event"))
        self.assertEqual((answer.status, answer.read()), (202, b""))
        await_that(done.exists, "what was answered at once is done")
        await_that(lambda: self.gets(200, "GET", "/api/v1/logs?function=late")["invocations"],
                   "it is in the log of calls")

    def test_an_event_that_fails_is_begun_twice_more(self):
        self.stops(self.process)
        process = self.novad("--event-retry", "50ms")
        tries = self.directory / "tries"
        self.register("fails", "def handler(event):\n"
                      f"    with open({str(tries)!r}, 'a') as file:\n"
                      "        file.write(event)\n    raise ValueError('no')")
        self.register("third", "import os\ndef handler(event):\n"
                      f"    with open({str(tries)!r} + event, 'a') as file:\n"
                      "        file.write(event)\n        assert file.tell() == 2")
        for name, body in (("fails", b'"x"'), ("third", b'"y"')):
            self.assertEqual(self.send(body, name=name,
                                       headers=self.header(invocation_type="Event")).status, 202)
        def logged(name):
            return self.gets(200, "GET", f"/api/v1/logs?function={name}")["invocations"]

        await_that(lambda: len(logged("fails")) == 3 and len(logged("third")) == 2,
                   "each is in the log")
        self.assertEqual(len({call["request_id"] for call in logged("fails")}), 3)
        self.assertEqual([call["code"] for call in logged("third")], [None, "function_failed"])
        self.stops(process)
        self.assertEqual((tries.read_text(), (self.directory / "triesy").read_text()),
                         ("xxx", "yy"))

    def test_events_that_wait_take_nobodys_room_and_what_is_dropped_is_told(self):
        self.stops(self.process)
        process = self.novad("--max-bodies", "8")  # a key has half of that waiting
        self.register("fails", "def handler(event):\n    raise ValueError('no')")
        big = b'"%s"' % (b"x" * (3 << 20))
        for number in range(1, 4):
            answer = self.send(big, name="fails", headers=self.header(invocation_type="Event"))
            self.assertEqual(answer.status, 202, answer.read())
            await_that(lambda number=number: len(self.gets(
                200, "GET", "/api/v1/logs?function=fails")["invocations"]) == number,
                       "it has failed")
        def numbers():
            return self.ask("GET", "/metrics").body.decode()

        await_that(lambda: "\nnovad_dropped_total 2\n" in numbers(), "the first alone waits")
        self.assertIn("\nnovad_body_bytes 0\n", numbers())
        self.assertEqual(self.log().count("is not begun again: as much waits already"), 2)
        self.stops(process)

    def test_a_stopping_server_begins_nothing_again(self):
        self.register("fails", "def handler(event):\n    raise ValueError('no')")
        self.assertEqual(self.send(name="fails",
                                   headers=self.header(invocation_type="Event")).status, 202)
        await_that(lambda: self.gets(200, "GET", "/api/v1/logs?function=fails")["invocations"],
                   "it has failed")
        self.stops(self.process)

    def test_a_stopping_server_lets_an_event_end(self):
        done = self.directory / "done"
        self.register("late", f"import pathlib, time\ndef handler(event):\n    time.sleep(0.5)\n"
                      f"    pathlib.Path({str(done)!r}).write_text('x')")
        self.assertEqual(self.send(name="late",
                                   headers=self.header(invocation_type="Event")).status, 202)
        self.stops(self.process)
        self.assertTrue(done.exists())

    def test_an_event_that_does_not_end_ends_with_the_server(self):
        self.stops(self.process)
        self.register("late", "import time\ndef handler(event):\n    time.sleep(1000)")
        process = self.novad("--stop-timeout", "100ms")
        self.assertEqual(self.send(name="late",
                                   headers=self.header(invocation_type="Event")).status, 202)
        self.stops(process)


BOTO3 = """
import base64, json, sys
import boto3, botocore
from botocore.config import Config

url, access, secret = sys.argv[1:]

def client(secret=secret, access=access):
    return boto3.client("lambda", endpoint_url=url, region_name="eu-central-1",
                        aws_access_key_id=access, aws_secret_access_key=secret,
                        config=Config(retries={"max_attempts": 1}))

aws = client()
got = aws.invoke(FunctionName="echo", Payload=json.dumps({"a": ["ä", 1.5, None]}))
assert json.load(got["Payload"]) == {"a": ["ä", 1.5, None]}
assert (got["StatusCode"], got["ExecutedVersion"]) == (200, "$LATEST"), got
assert "FunctionError" not in got and "LogResult" not in got
assert len(got["ResponseMetadata"]["RequestId"]) == 32
assert json.load(aws.invoke(FunctionName="echo")["Payload"]) == {}

got = aws.invoke(FunctionName="echo", Qualifier="prod", Payload=b"1")
assert (json.load(got["Payload"]), got["ExecutedVersion"]) == ("one", "1"), got
got = aws.invoke(FunctionName="arn:aws:lambda:eu-central-1:123456789012:function:echo:1")
assert got["ExecutedVersion"] == "1"

got = aws.invoke(FunctionName="talks", LogType="Tail")
log = base64.b64decode(got["LogResult"]).decode()
assert log.startswith("START RequestId: ") and "\\nout\\nerr\\n" in log, log
assert "\\nREPORT RequestId: " in log and "\\tDuration: " in log, log
got = aws.invoke(FunctionName="much", LogType="Tail")
log = base64.b64decode(got["LogResult"])
assert len(log) == 4096 and b"y\\nEND RequestId: " in log and b"START" not in log, log

got = aws.invoke(FunctionName="bad", LogType="Tail")
assert (got["StatusCode"], got["FunctionError"]) == (200, "Unhandled"), got
failure = json.load(got["Payload"])
assert failure["errorType"] == "ValueError" and "no <b>" in failure["errorMessage"], failure
assert "Traceback" in base64.b64decode(got["LogResult"]).decode()
got = aws.invoke(FunctionName="slow")
assert got["FunctionError"] == "Unhandled"
assert json.load(got["Payload"])["errorType"] == "Sandbox.Timedout"

told = base64.b64encode(json.dumps({"custom": {"a": "ä"}, "env": {}}).encode()).decode()
for function in ("told", "toldnode"):
    got = aws.invoke(FunctionName=function, ClientContext=told)
    assert json.load(got["Payload"]) == {"a": "ä"}, got
    assert json.load(aws.invoke(FunctionName=function)["Payload"]) is None

got = aws.invoke(FunctionName="echo", InvocationType="Event", Payload=b"{}")
assert (got["StatusCode"], got["Payload"].read()) == (202, b"")
got = aws.invoke(FunctionName="echo", InvocationType="DryRun")
assert (got["StatusCode"], got["Payload"].read()) == (204, b"")

def fails(error, call, **named):
    try:
        call(**named)
    except error:
        return
    raise SystemExit(f"{error} was not raised")

fails(aws.exceptions.ResourceNotFoundException, aws.invoke, FunctionName="none")
fails(aws.exceptions.InvalidRequestContentException, aws.invoke, FunctionName="echo", Payload=b"{")
for wrong, code in ((client("x" * 40), "InvalidSignatureException"),
                    (client(access="none"), "UnrecognizedClientException")):
    try:
        wrong.invoke(FunctionName="echo")
        raise SystemExit("it was let in")
    except botocore.exceptions.ClientError as refused:
        assert refused.response["Error"]["Code"] == code, refused.response
        assert refused.response["ResponseMetadata"]["HTTPStatusCode"] == 403

names = [f["FunctionName"] for page in aws.get_paginator("list_functions").paginate(
    PaginationConfig={"PageSize": 2}) for f in page["Functions"]]
assert names == ["bad", "echo", "much", "slow", "talks", "told", "toldnode"], names
found = aws.get_function(FunctionName="echo")["Configuration"]
assert (found["FunctionName"], found["Runtime"], found["Version"]) == ("echo", "python", "$LATEST")
found = aws.get_function(FunctionName="echo", Qualifier="prod")["Configuration"]
assert found["Version"] == "1" and found["FunctionArn"].endswith(":function:echo:prod"), found
fails(aws.exceptions.ResourceNotFoundException, aws.get_function, FunctionName="none")
"""


class Boto3(LambdaCase):
    def test_boto3_runs_unchanged(self):
        there = subprocess.run([DEBIAN, "-c", "import boto3"], capture_output=True, check=False)
        if there.returncode:
            raise unittest.SkipTest("Debian's boto3 is not there: apt-get install python3-boto3")
        self.register("echo", "def handler(event):\n    return 'one'")
        self.register("talks", "import sys\ndef handler(event):\n    print('out', flush=True)\n"
                      "    print('err', file=sys.stderr, flush=True)")
        self.register("much", "def handler(event):\n    print('x' * 9000 + 'y')")
        self.register("bad", "def handler(event):\n    raise ValueError('no <b>')")
        self.register("slow", "import time\ndef handler(event):\n    time.sleep(1000)")
        self.register("told", "def handler(event, context):\n"
                      "    return context.client_context and context.client_context.custom")
        self.novad()
        self.gets(201, "POST", "/api/v1/functions", {
            "name": "toldnode", "runtime": "node", "code": "exports.handler = async (event, "
            "context) => context.clientContext ? context.clientContext.custom : null"})
        self.gets(200, "PATCH", "/api/v1/functions/slow", {"timeout_s": 1})
        self.gets(201, "POST", "/api/v1/functions/echo/versions")
        self.gets(200, "PUT", "/api/v1/functions/echo/aliases/prod", {"version": 1})
        self.gets(200, "PATCH", "/api/v1/functions/echo", {"code": self.ECHO})
        done = subprocess.run(
            [DEBIAN, self.write("client.py", BOTO3), f"http://127.0.0.1:{self.port}",
             *credentials(self, self.key_name)], capture_output=True, text=True, timeout=120,
            check=False, env={"PATH": "/usr/bin:/bin", "HOME": str(self.directory)})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
