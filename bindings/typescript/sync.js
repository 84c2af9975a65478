// SPDX-License-Identifier: MIT
// Makes the files of a directory here and of one in a guest the same. It needs Node.
import { mkdir, readFile, readdir, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FaaSError } from './stream.js';

function matcher(words) {
  const patterns = words.map((word) => new RegExp(`^${word.replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*').replace(/\?/g, '.')}$`));
  return (path) => [path, ...path.split('/')].some(
    (part) => patterns.some((pattern) => pattern.test(part)));
}

async function localFiles(top, isExcluded, inside = '', found = new Map()) {
  const entries = await readdir(join(top, inside), { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const path = inside ? `${inside}/${entry.name}` : entry.name;
    if (isExcluded(path)) continue;
    if (entry.isDirectory()) await localFiles(top, isExcluded, path, found);
    if (!entry.isFile()) continue;
    const about = await stat(join(top, path));
    found.set(path, { size: about.size, changed: about.mtimeMs * 1000, mode: about.mode & 0o777 });
  }
  return found;
}

async function remoteFiles(instances, id, top, isExcluded) {
  const found = new Map();
  let files = [];
  try {
    ({ files } = await instances.files(id, top));
  } catch (error) {
    if (error.code !== 'not_found') throw error; // else there is nothing yet
  }
  for (const entry of files) {
    const path = entry.path.startsWith(`${top}/`) ? entry.path.slice(top.length + 1) : entry.path;
    const plain = !path.split('/').some((part) => part === '..' || part === '');
    if (entry.kind === 'file' && plain && !isExcluded(path))
      found.set(path, { size: entry.size, changed: entry.mtime_us });
  }
  return found;
}

async function makeDirectories(instances, id, top, paths) {
  const made = [...new Set(paths.map((path) => dirname(`${top}/${path}`)))].sort();
  if (!made.length) return;
  const done = await instances.exec(id, ['mkdir', '-p', '--', ...made]);
  if (done.exit_code)
    throw new FaaSError(`cannot make the directories: ${done.stderr}`,
      { code: 'function_failed', outcome: 'ran' });
}

export async function sync(instances, id, { localDir, remoteDir = '/workspace', exclude = [],
  direction = 'up', delete: removes = false, dryRun = false }) {
  if (direction !== 'up' && direction !== 'down')
    throw new TypeError(`direction is 'up' or 'down', not '${direction}'`);
  const up = direction === 'up', top = remoteDir.replace(/\/+$/, '');
  const isExcluded = matcher(exclude);
  const local = await localFiles(localDir, isExcluded);
  const remote = await remoteFiles(instances, id, top, isExcluded);
  const [source, target] = up ? [local, remote] : [remote, local];
  const wanted = [...source].filter(([path, about]) => !target.has(path) ||
    target.get(path).size !== about.size || target.get(path).changed < about.changed)
    .map(([path]) => path).sort();
  const gone = removes ? [...target.keys()].filter((path) => !source.has(path)).sort() : [];
  const done = [...wanted.map((path) => ['write', path]), ...gone.map((path) => ['remove', path])];
  if (dryRun) return done;
  if (up) await makeDirectories(instances, id, top, wanted);
  for (const path of wanted) {
    const here = join(localDir, path), there = `${top}/${path}`;
    if (up) {
      const mode = source.get(path).mode || 0o644;
      await instances.write(id, there, await readFile(here), { mode });
    } else {
      await mkdir(dirname(here), { recursive: true });
      await writeFile(here, await instances.read(id, there));
    }
  }
  for (const path of gone)
    await (up ? instances.remove(id, `${top}/${path}`) : unlink(join(localDir, path)));
  return done;
}
