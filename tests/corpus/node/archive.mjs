// SPDX-License-Identifier: MIT
// Streams a text through gzip into a file of /tmp and back, and asks for its digest.
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, promises as fs } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';

export async function handler({ line, times }) {
  const place = await fs.mkdtemp(join(tmpdir(), 'archive-'));
  try {
    const file = join(place, 'text.gz'), hash = createHash('sha256');
    await pipeline(Readable.from(Array(times).fill(line)), createGzip(), createWriteStream(file));
    let length = 0;
    for await (const piece of createReadStream(file).pipe(createGunzip())) {
      hash.update(piece);
      length += piece.length;
    }
    return { length, smaller: (await fs.stat(file)).size < length, sha256: hash.digest('hex') };
  } finally {
    await fs.rm(place, { recursive: true });
  }
}
