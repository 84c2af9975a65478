// SPDX-License-Identifier: MIT
// Identifiers and dice: no two calls, in whichever clone, may draw the same.
import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto';

export const handler = ({ text, size }) => ({
  uuid: randomUUID(),
  bytes: randomBytes(size).toString('hex'),
  dice: Math.random(),
  web: [...globalThis.crypto?.getRandomValues(new Uint8Array(size)) ?? randomBytes(size)],
  sha256: createHash('sha256').update(text).digest('hex'),
  hmac: createHmac('sha1', 'key').update(text).digest('base64url'),
});
