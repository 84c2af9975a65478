// SPDX-License-Identifier: MIT
// The module `nova`, for functions: what they keep between their calls (docs/kv.md). A module of
// that name of the function's own comes first.
'use strict';

const keep = (() => {
  const Module = require('module');

  class NovaError extends Error {
    constructor(code, text) {
      super(text);
      this.name = 'NovaError';
      this.code = code;
    }
  }

  function understand(pieces) {
    const bytes = Buffer.concat(pieces);
    if (bytes.length < 4 || bytes.length < 4 + bytes.readUInt32BE(0))
      throw new NovaError('NOVA_ELOST', 'the call is over');
    const reply = JSON.parse(bytes.subarray(4).toString());
    if ('code' in reply)
      throw new NovaError(reply.code, reply.error);
    return reply;
  }

  // One question to the host, and its reply.
  function ask(op, members) {
    return new Promise((resolve, reject) => {
      const path = process.env.NOVA_SOCKET;
      if (!path)
        throw new NovaError('NOVA_ENOTSUP', 'this guest has no socket (NOVA_SOCKET)');
      const id = process.env.NOVA_REQUEST_ID;
      const text = Buffer.from(JSON.stringify({ op, request_id: id, ...members }));
      const head = Buffer.alloc(4);
      const pieces = [];
      head.writeUInt32BE(text.length);
      const socket = require('net').connect(path);
      socket.on('data', (piece) => pieces.push(piece));
      socket.on('error', (error) => reject(new NovaError('NOVA_EIO', error.message)));
      socket.on('end', () => {
        try {
          resolve(understand(pieces));
        } catch (error) {
          reject(error);
        }
      });
      socket.write(Buffer.concat([head, text]));
    });
  }

  async function orNull(op, key) {
    try {
      const reply = await ask(op, { key });
      reply.value = Buffer.from(reply.value, 'base64');
      return reply;
    } catch (error) {
      if (error.code === 'NOVA_ENOTFOUND')
        return null;
      throw error;
    }
  }

  const coded = (value) => Buffer.from(value).toString('base64');

  const kv = {
    entry: (key) => orNull('kv get', key),
    get: async (key) => (await orNull('kv get', key))?.value ?? null,
    put: async (key, value, { ttlMs, ifVersion, isNew } = {}) => (await ask('kv put', {
      key, value: coded(value), ttl_ms: ttlMs, if_version: ifVersion, new: isNew,
    })).version,
    delete: async (key, { ifVersion } = {}) => {
      await ask('kv delete', { key, if_version: ifVersion });
    },
    list: async ({ prefix, after, limit } = {}) =>
      (await ask('kv list', { prefix, after, limit })).entries,
  };
  const files = {
    get: (name) => orNull('file get', name),
    put: async (name, content, { type } = {}) => {
      await ask('file put', { key: name, value: coded(content), type });
    },
    delete: async (name) => {
      await ask('file delete', { key: name });
    },
    list: async ({ prefix, after, limit } = {}) =>
      (await ask('file list', { prefix, after, limit })).files,
  };

  const resolveFilename = Module._resolveFilename;
  Module._resolveFilename = function resolve(request, ...rest) {
    try {
      return resolveFilename.call(this, request, ...rest);
    } catch (error) {
      if (request === 'nova')
        return 'nova';
      throw error;
    }
  };
  const own = new Module('nova');
  own.exports = { kv, files, NovaError };
  own.loaded = true;
  Module._cache.nova = own;
  return own.exports;
})();
void keep;
