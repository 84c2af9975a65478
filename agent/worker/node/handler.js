// SPDX-License-Identifier: MIT
// Where the function's code is, what in it is called, and what is said when that fails. Goes in
// front of worker.js, in the same program.

const { spawnSync } = require('child_process');
const fs = require('fs');
const path = require('path');
const util = require('util');
const Module = require('module');
const { pathToFileURL } = require('url');

const AUTOMATIC = ['handler', 'default']; // where no handler was named
const OWN = __filename;

// What was named is not there, or cannot be called. Its text says all: no stack.
class NoHandler extends Error {}

// --- what a file is, without running it ---

// The code without comments and what stands in strings. A regular expression may be taken for a
// string, up to the end of its line.
function codeOnly(text) {
  const spans = /\/\*[^]*?\*\/|\/\/[^\n]*|(['"])(?:\\[^]|(?!\1)[^\\\n])*\1|`(?:\\[^]|[^`\\])*`/g;
  return text.replace(/^#!.*/, '').replace(spans, (span) => (span[0] === '/' ? ' ' : '""'));
}

// { module: it has import or export statements; exports: others may use something of it }
function kindOf(text) {
  const code = codeOnly(text);
  const exported = /(?:^|[;}\n])\s*export\b\s*["{*\w]/.test(code);
  const imports = /(?:^|[;}\n])\s*import\s*(?:["{*]|\w+[\s,])/.test(code);
  const common = /\bexports\b/.test(code);
  return { module: exported || imports, exports: exported || common };
}

// As Node sees it: by its name, and by the package that it is in. Code that is one file has no name
// that tells.
function isModule(file, kind) {
  const ending = path.extname(file);
  if (ending !== '.js') {
    return ending === '.mjs' || (ending !== '.cjs' && kind.module);
  }
  for (let at = path.dirname(file); ; at = path.dirname(at)) {
    try {
      return JSON.parse(fs.readFileSync(path.join(at, 'package.json'), 'utf8')).type === 'module';
    } catch (error) {
      if (error.code !== 'ENOENT') {
        return false; // Node will say so
      }
    }
    if (at === path.dirname(at)) {
      return false;
    }
  }
}

// --- finding the function ---

function names(exported) {
  const all = Object(exported) === exported ? exported : {};
  return Object.keys(all).filter((name) => typeof all[name] === 'function');
}

function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, n) => n);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] !== b[j - 1]));
    }
    row = next;
  }
  return row[b.length];
}

function didYouMean(name, exported) {
  const mine = names(exported);
  const near = mine.filter((one) => distance(name, one) <= Math.max(2, name.length / 3));
  const best = near.sort((a, b) => distance(name, a) - distance(name, b))[0] ||
    AUTOMATIC.find((one) => mine.includes(one));
  if (best) {
    return `; did you mean '${best}'?`;
  }
  return mine.length ? `; there are ${mine.sort().slice(0, 8).join(', ')}` :
    ', and it exports no other function either';
}

// The name of what is called: the one that was asked for, else what there is.
function choose(exported, name, file) {
  if (name) {
    return name;
  }
  const found = AUTOMATIC.find((one) => typeof exported[one] === 'function');
  if (found) {
    return found;
  }
  throw new NoHandler(`${file} exports no 'handler'${didYouMean('handler', exported)}`);
}

function findFunction(exported, name, file) {
  const found = Object(exported) === exported ? exported[name] : undefined;
  if (found === undefined) {
    throw new NoHandler(`there is no '${name}' in ${file}${didYouMean(name, exported)}`);
  }
  if (typeof found !== 'function') {
    throw new NoHandler(`the handler '${name}' in ${file} is no function: ` +
      `it is of type ${found === null ? 'null' : typeof found}`);
  }
  if (/^(Async)?GeneratorFunction$/.test(found.constructor.name)) {
    throw new NoHandler(`the handler '${name}' in ${file} is a generator: ` +
      'have it return a value, such as an array');
  }
  return found;
}

// --- saying what went wrong ---

function isError(value) {
  return util.types.isNativeError(value) || value instanceof Error;
}

function describe(error) {
  try {
    if (!isError(error)) {
      return `${util.inspect(error, { depth: 1 })} was thrown, which is no Error`;
    }
    const name = String(error.name || error.constructor.name), text = String(error.message);
    return text ? `${name}: ${text}` : name;
  } catch (worse) { // it is the function's
    return 'an error was thrown that cannot be told as text';
  }
}

// As Node prints an error that nobody has caught, without its own frames and ours.
function stackOf(error) {
  let text;
  try {
    text = isError(error) ? util.inspect(error) : `Uncaught ${util.inspect(error)}`;
  } catch (worse) {
    text = describe(error);
  }
  const ours = (line) => line.includes(OWN) || /^\s+at .*node:(internal\/|async_hooks)/.test(line);
  return text.split('\n').filter((line) => !ours(line)).join('\n') + '\n';
}

// Of a module that Node has not parsed: where, if it is in this file.
function findSyntaxError(error, file) {
  const checked = spawnSync(process.execPath, ['--check', file], { encoding: 'utf8' });
  if (checked.stderr && checked.stderr.includes('SyntaxError')) {
    error.stack = checked.stderr.trim();
  }
}

class Places {
  constructor(directory, modules) {
    this.roots = [directory + '/', modules + '/'];
  }

  short(file) {
    const root = this.roots.find((one) => file.startsWith(one));
    return root && file.slice(root.length);
  }

  // Where in the function's code it happened, the innermost first: "lib/b.js, line 3; main.js, line
  // 1".
  of(error) {
    const found = new Set();
    const stack = isError(error) ? String(error.stack) : '';
    for (const [, file, line] of stack.matchAll(/(?:file:\/\/)?(\/[^\s:()]+):(\d+)/g)) {
      const name = this.short(file);
      if (name) {
        found.add(`${name}, line ${line}`);
      }
    }
    return [...found].slice(0, 6).join('; ');
  }

  // In one line: what, where, and what it came from.
  tell(error) {
    const parts = [], seen = new Set();
    for (let at = error; at !== undefined && !seen.has(at) && parts.length < 4;
      at = isError(at) ? at.cause : undefined) {
      seen.add(at);
      const where = this.of(at);
      // With CommonJS the text of a missing module lists who asked for it.
      parts.push(describe(at).split('\n')[0] + (where ? ` (${where})` : ''));
    }
    return parts.join(', caused by ');
  }
}
