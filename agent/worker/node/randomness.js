'use strict';
// SPDX-License-Identifier: MIT
// Randomness in the interpreter, which is copied with its whole machine into clones. What was
// seeded from entropy is seeded anew in each copy. What the import got from a generator for secrets
// cannot be told from any other value later: it is reported, and such a function's templates are
// made without it. Goes in front of handler.js and worker.js, in the same program.

const crypto = require('crypto');
const threads = require('worker_threads');
const { syncBuiltinESMExports } = require('module');

class Randomness {
  static CACHED = 1024; // numbers that randomInt() has ready at most
  static SECRETS = ['randomBytes', 'randomFill', 'randomFillSync', 'randomInt', 'randomUUID',
    'generateKey', 'generateKeySync', 'generateKeyPair', 'generateKeyPairSync'];

  constructor(native, describe) {
    this.native = native;
    this.describe = describe; // the place of a call in the function's code
    this.first = '';
    this.watching = false;
    this.used = false;
    this.originals = [];
    this.fill = crypto.randomFillSync;
    this.randomInt = crypto.randomInt;
    this.replaceMath();
    this.replaceCached();
    syncBuiltinESMExports();
  }

  // V8's own cannot be seeded anew. This one is sfc32, seeded when it is first used.
  replaceMath() {
    let a, b, c, d, seeded = false;
    const seed = () => {
      [a, b, c, d] = this.fill(new Int32Array(4));
      seeded = true;
    };
    const word = () => {
      const sum = (a + b + d) | 0;
      d = (d + 1) | 0;
      a = b ^ (b >>> 9);
      b = (c + (c << 3)) | 0;
      c = (((c << 21) | (c >>> 11)) + sum) | 0;
      return sum >>> 0;
    };
    const random = { random() {
      if (!seeded) {
        seed();
      }
      return ((word() >>> 5) * 0x4000000 + (word() >>> 6)) / 0x20000000000000;
    } }.random;
    this.forgetSeed = () => { seeded = false; };
    Object.defineProperty(Math, 'random', { value: random, writable: true, configurable: true });
  }

  // randomUUID() can be told to keep nothing; the cache of randomInt() is used up in a copy.
  replaceCached() {
    const randomness = this, { randomUUID, randomInt } = crypto;
    crypto.randomUUID = { randomUUID(options = {}) {
      const valid = Object(options) === options;
      return randomUUID(valid ? { ...options, disableEntropyCache: true } : options);
    } }.randomUUID;
    Object.getPrototypeOf(crypto.webcrypto).randomUUID = crypto.randomUUID;
    crypto.randomInt = { randomInt(...args) {
      randomness.used = true;
      return randomInt(...args);
    } }.randomInt;
  }

  // Until the import is over.
  watch() {
    this.watching = true;
    for (const name of Randomness.SECRETS) {
      this.wrap(crypto, name);
    }
    this.wrap(Object.getPrototypeOf(crypto.webcrypto), 'getRandomValues');
    this.wrap(Object.getPrototypeOf(crypto.webcrypto.subtle), 'generateKey');
    const randomness = this, { Worker } = threads;
    // A thread has generators of its own, which nobody here reaches.
    this.replace(threads, 'Worker', new Proxy(Worker, { construct(target, args, made) {
      randomness.note('new Worker()');
      return Reflect.construct(target, args, made);
    } }));
    syncBuiltinESMExports();
  }

  wrap(object, name) {
    const original = object[name], randomness = this;
    if (typeof original !== 'function') {
      return;
    }
    this.replace(object, name, { [name](...args) {
      randomness.note(`crypto.${name}()`);
      return Reflect.apply(original, this, args);
    } }[name]);
  }

  replace(object, name, wrapper) {
    const before = Object.getOwnPropertyDescriptor(object, name);
    if (!before || !before.configurable) {
      return;
    }
    this.originals.push([object, name, before, wrapper]);
    Object.defineProperty(object, name,
      { value: wrapper, writable: true, configurable: true, enumerable: before.enumerable });
  }

  note(call) {
    if (this.watching && !this.first) {
      this.first = call + this.describe(new Error());
    }
  }

  // Who has taken one of them by its name keeps it: it only passes on now. The first draw that
  // cannot be taken back, as a text; '': none.
  imported() {
    this.watching = false;
    for (const [object, name, before, wrapper] of this.originals) {
      if (object[name] === wrapper) {
        Object.defineProperty(object, name, before);
      }
    }
    this.originals = [];
    syncBuiltinESMExports();
    return this.first;
  }

  // In a clone of the machine, before the function draws.
  copied() {
    this.native.renew();
    this.forgetSeed();
    for (let n = 0; this.used && n < Randomness.CACHED; n++) {
      this.randomInt(2);
    }
  }
}
