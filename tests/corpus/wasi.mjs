// SPDX-License-Identifier: MIT
// Runs a module of WASI in Node. Arguments: the module, a file with the event.
import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { WASI } from 'node:wasi';

const [code, event] = process.argv.slice(2);
const wasi = new WASI({
  version: 'preview1', env: process.env, args: ['handler', `/tmp/${basename(event)}`],
  preopens: { '/tmp': dirname(event), '/code': dirname(code), '.': dirname(code) },
  returnOnExit: true,
});
const module = new WebAssembly.Module(readFileSync(code));
const instance = new WebAssembly.Instance(module, { wasi_snapshot_preview1: wasi.wasiImport });
process.exitCode = wasi.start(instance);
