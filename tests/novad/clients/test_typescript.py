# SPDX-License-Identifier: MIT
"""@faas/sdk, the TypeScript client, out of its pack, against a real novad."""
import json
import os
import pathlib
import shutil
import subprocess
import unittest

from novadcase import NovadCase

PACKAGE = pathlib.Path(__file__).resolve().parents[3] / "bindings/typescript"
LONG = bool(os.environ.get("NOVA_TEST_LONG"))

BEGINNING = """
import assert from 'node:assert/strict';
import { writeFileSync, mkdirSync, readFileSync } from 'node:fs';
import { FaaSClient, FaaSError } from '@faas/sdk';
const client = new FaaSClient();
const fails = (code, outcome, call) => assert.rejects(call, (error) => {
  assert.ok(error instanceof FaaSError, error);
  assert.deepEqual([error.code, error.outcome], [code, outcome]);
  return true;
});
const heard = async (stream) => {
  const found = [];
  for await (const event of stream) found.push(event.data);
  return found.join('');
};
"""


@unittest.skipUnless(shutil.which("node"), "no node: install nodejs")
class Package(NovadCase):
    def setUp(self):
        super().setUp()
        self.place = self.directory / "node_modules/@faas/sdk"
        self.unpack()

    def unpack(self):
        """As npm packs and installs it: the files that package.json names, and no others."""
        self.place.mkdir(parents=True)
        if not shutil.which("npm"):
            files = json.loads((PACKAGE / "package.json").read_text())["files"]
            for name in (*files, "package.json"):
                shutil.copy(PACKAGE / name, self.place)
            return
        environment = {**os.environ, "npm_config_cache": str(self.directory / "cache")}
        done = subprocess.run(["npm", "pack", "--silent", "--pack-destination", self.directory,
                               PACKAGE], capture_output=True, text=True, timeout=120, check=True,
                              env=environment)
        subprocess.run(["tar", "-xzf", self.directory / done.stdout.strip(), "-C", self.place,
                        "--strip-components=1"], check=True, timeout=60)

    def node(self, script, *options, **variables):
        path = self.write("main.mjs", BEGINNING + script)
        done = subprocess.run(
            ["node", *options, path], capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "FAAS_API_KEY": self.key, "NO_PROXY": "*",
                 "FAAS_API_URL": f"http://127.0.0.1:{self.port}", "HERE": str(self.directory),
                 **variables})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_calls_and_what_fails(self):
        self.register("bad", "def handler(event):\n    raise ValueError('no')")
        self.novactl("secret", "key", self.directory / "keys")
        self.novad("--set", f"secret.key_file={self.directory / 'keys'}")
        self.node("""
assert.equal(await client.secrets.set('db', 'pw'), undefined);
assert.equal((await client.secrets.list()).secrets[0].name, 'db');
assert.deepEqual(await client.secrets.rotate(), { rotated: 0 });
assert.equal(await client.secrets.delete('db'), undefined);
const result = await client.execute({ code: 'console.log(6 * 7)', language: 'javascript',
  mode: 'ephemeral' });
assert.deepEqual([result.stdout, result.exit_code], ['42\\n', 0]);
assert.equal(await heard(client.stream(result.executionId)), '42\\n');
await client.functions.create({ name: 'f', runtime: 'python',
  code: 'def handler(event):\\n    return event' });
assert.deepEqual(await client.invoke('f', { a: ['ä', 1.5, null] }), { a: ['ä', 1.5, null] });
assert.equal((await client.functions.publish('f')).version, 1);
await client.functions.update('f', { code: 'def handler(event):\\n    return 2' });
await client.functions.setAlias('f', 'prod', { version: 1 });
assert.deepEqual([await client.invoke('f:prod', 1), await client.invoke('f', 1)], [1, 2]);
assert.equal((await client.functions.list({ limit: 5 })).functions.length, 2);
const { invocations: [last] } = await client.logs.list({ function: 'f', limit: 1 });
assert.deepEqual(await client.logs.get(last.request_id), last);
assert.equal((await client.logs.stats()).functions.find((s) => s.function === 'f').calls, 3);
assert.equal((await client.usage.list({ by: 'function' })).usage.at(-1).function, 'f');
assert.equal((await client.usage.bill()).tier, 'starter');
assert.equal((await client.usage.estimate({ duration_us: 1e6 })).cpu_nano, 19200);
await fails('busy', 'never_ran', () => client.functions.delete('f'));
assert.equal(await client.functions.delete('f', { force: true }), undefined);
await fails('not_found', 'never_ran', () => client.functions.get('f'));
await fails('function_failed', 'ran', () => client.invoke('bad'));
await fails('timed_out', 'ran', () => client.execute({ command: ['sleep', '99'],
  timeout_ms: 300 }));
await fails('not_there_yet', 'never_ran', () => client.instances.expose('x', { port: 80 }));
await fails('unauthorized', 'never_ran', () => new FaaSClient({ apiKey: 'x' }).functions.list());
await fails('connection', 'unknown', () => new FaaSClient({ endpoint: 'http://127.0.0.1:1' })
  .functions.list());
await assert.rejects(client.execute({ languag: 'x' }), /execute takes .*, not languag/);
await assert.rejects(client.call('getFunction'), /getFunction needs id/);
assert.throws(() => new FaaSClient({ endpoint: 'localhost' }), TypeError);
const ended = new AbortController();
setTimeout(() => ended.abort(), 100);
await assert.rejects(client.execute({ command: ['sleep', '99'] }, { signal: ended.signal }),
  { name: 'AbortError' });
""")

    def test_what_a_function_keeps_is_put_read_listed_and_deleted(self):
        self.register("f", "true", "shell")
        self.novad()
        self.node("""
const bytes = (found) => [...found];
const { version } = await client.kv.put('f', 'a/ä', new Uint8Array([0, 255]),
  { ttlMs: 60000, isNew: true });
const found = await client.kv.get('f', 'a/ä');
assert.deepEqual([bytes(found.value), found.version], [[0, 255], version]);
assert.ok(found.expires_us > 0);
await fails('exists', 'never_ran', () => client.kv.put('f', 'a/ä', 'x', { isNew: true }));
await client.kv.put('f', 'a/ä', '', { ifVersion: version });
await fails('busy', 'never_ran', () => client.kv.put('f', 'a/ä', 'x', { ifVersion: version }));
assert.deepEqual(bytes((await client.kv.get('f', 'a/ä')).value), []);
await client.kv.put('f', 'b', '2');
assert.deepEqual((await client.kv.list('f', { prefix: 'a/' })).keys.map((k) => k.key), ['a/ä']);
await fails('busy', 'never_ran', () => client.kv.delete('f', 'b', { ifVersion: version }));
assert.equal(await client.kv.delete('f', 'b'), undefined);
await fails('not_found', 'never_ran', () => client.kv.get('f', 'b'));
await client.files.put('f', 'logo.png', new Uint8Array([137, 80]), 'image/png');
const logo = await client.files.get('f', 'logo.png');
assert.deepEqual([bytes(logo.data), logo.type], [[137, 80], 'image/png']);
const { files: [one] } = await client.files.list('f');
assert.deepEqual([one.name, one.sha256, one.size], ['logo.png', logo.sha256, 2]);
assert.equal(await client.files.delete('f', 'logo.png'), undefined);
await fails('not_found', 'never_ran', () => client.files.get('f', 'logo.png'));
""")

    STREAMS = """
const waits = { language: 'shell', code: `echo begun; while ! test -e $HERE/go; do sleep 0.02; done
  echo ended; exit 3`, env_vars: { HERE: process.env.HERE } };
const stream = client.stream(waits);
const found = [];
for await (const event of stream) {
  found.push(event.data);
  if (found.length === 1) { // somebody else listens, too
    const other = client.stream(stream.executionId);
    const complete = new Promise((done, failed) => other.on('complete', done).on('error', failed));
    const outputs = [];
    other.on('output', ({ data }) => outputs.push(data));
    writeFileSync(`${process.env.HERE}/go`, '');
    assert.equal((await complete).exitCode, 3);
    assert.deepEqual(outputs, ['begun\\n', 'ended\\n']);
  }
}
assert.deepEqual([found, stream.result.exitCode], [['begun\\n', 'ended\\n'], 3]);
await fails('not_found', 'never_ran', () => heard(client.stream('0'.repeat(32))));
await fails('invalid', 'never_ran', () => heard(client.stream({ code: '1', language: 'perl' })));
await fails('unauthorized', 'never_ran', () => heard(new FaaSClient({ apiKey: 'x'.repeat(20) })
  .stream({ command: ['true'] })));
assert.throws(() => client.stream(), TypeError);
const long = client.stream({ command: ['sh', '-c',
  "printf '\\\\377\\\\0'; head -c 300000 /dev/zero"] });
const pieces = [];
for await (const { raw } of long) pieces.push(Buffer.from(raw));
const whole = Buffer.concat([Buffer.from([255, 0]), Buffer.alloc(300000)]);
assert.ok(Buffer.concat(pieces).equals(whole));
const begun = await client.execute({ ...waits, stream: true });
assert.equal(await heard(client.stream(begun.executionId)), 'begun\\nended\\n');
const stopped = client.stream({ command: ['sh', '-c', 'echo x; sleep 99'] });
await fails('canceled', 'unknown', async () => { for await (const _ of stopped) stopped.stop(); });
"""

    def test_streams_over_a_socket_of_its_own(self):
        self.novad()
        self.node(self.STREAMS)

    def test_streams_over_the_websockets_that_pages_have(self):
        self.novad()
        version = int(subprocess.run(["node", "-p", "process.versions.node.split('.')[0]"],
                                     capture_output=True, text=True, check=True).stdout)
        if version < 20:
            self.skipTest("this node has no WebSocket")
        self.node("assert.ok(globalThis.WebSocket);" + self.STREAMS,
                  *(["--experimental-websocket"] if version < 22 else []))

    def test_instances_have_stdin_and_directories(self):
        self.register("home", "cat", "shell")
        self.novad()
        self.node("""
const { id } = await client.instances.start({ function: 'home' });
const stream = client.stream({ instance: id, command: ['sh', '-c', 'echo go; cat'], stdin: true });
const found = [];
for await (const { data } of stream) {
  found.push(data);
  if (data === 'go\\n') { stream.send('a text\\n'); stream.endStdin(); }
}
assert.equal(found.join(''), 'go\\na text\\n');
const here = `${process.env.HERE}/here`, remoteDir = `${process.env.HERE}/guest`;
mkdirSync(`${here}/sub`, { recursive: true });
mkdirSync(`${here}/.git`);
for (const [name, text] of [['a', '1'], ['sub/b', '22'], ['.git/x', '3'], ['sub/skip.o', '4']])
  writeFileSync(`${here}/${name}`, text);
const options = { localDir: here, remoteDir, exclude: ['.git', '*.o'] };
const wanted = [['write', 'a'], ['write', 'sub/b']];
assert.deepEqual(await client.instances.sync(id, { ...options, dryRun: true }), wanted);
assert.deepEqual(await client.instances.sync(id, options), wanted);
assert.deepEqual(await client.instances.sync(id, options), []);
assert.equal(Buffer.from(await client.instances.read(id, `${remoteDir}/sub/b`)).toString(), '22');
assert.deepEqual(await client.instances.sync(id, { localDir: `${here}2`, remoteDir,
  direction: 'down' }), wanted);
assert.equal(readFileSync(`${here}2/sub/b`, 'utf8'), '22');
""")

    @unittest.skipUnless(LONG and shutil.which("npm"), "only with --long: it fetches TypeScript")
    def test_the_types_are_types(self):
        self.write("main.mts", """import { FaaSClient, FaaSError } from '@faas/sdk';
const client = new FaaSClient({ apiKey: 'x', endpoint: 'http://localhost:8080' });
export async function main(): Promise<number> {
  const result = await client.execute({ code: '1', language: 'javascript', mode: 'ephemeral' });
  const id: string = result.executionId;
  for await (const output of client.stream(id)) console.log(output.data);
  client.stream(id).on('complete', ({ exitCode }) => console.log(exitCode + 1));
  // @ts-expect-error
  await client.execute({ languag: 'x' });
  return new FaaSError('x').status;
}
""")
        done = subprocess.run(
            ["npx", "--yes", "-p", "typescript@5.4", "tsc", "--noEmit", "--strict", "--target",
             "es2022", "--module", "nodenext", "--lib", "es2022,dom", "main.mts"],
            cwd=self.directory, capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
