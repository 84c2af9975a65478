// SPDX-License-Identifier: MIT
// The interpreter of runtime node: imports the function once, then answers one call after the
// other, in place, as V8 cannot be forked. Between two calls it blocks in a read, so nothing of the
// function runs then: what is left of a call goes on with the next one.
//
// launch.c, messages.c and handover.c describe the messages. Its descriptors: 0 this program, 1 and
// 2 what calls print, 3 messages, 4 calls, 5 native.c.

const { AsyncResource } = require('async_hooks');
const { Writable } = require('stream');

const SOCK = 3, TALK = 4, NATIVE = 5;
const MAX_RESULT = 6 << 20; // an escape counts as what it stands for
const ROOM = 132 << 10;     // of a message
const PIECE = 32 << 10;     // of a result
const FIELDS = 6;           // of the order, before the variables
const NO_ANSWER = 'nothing is left that it could wait for (a promise that nobody settles, or a ' +
  'callback that is never called)';

function writeAll(fd, bytes) {
  for (let at = 0; at < bytes.length;) {
    try {
      at += fs.writeSync(fd, bytes, at);
    } catch (error) {
      if (error.code !== 'EAGAIN') {
        return; // nobody reads it any more
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

// As for a file: what is printed is written at once, also by a function that never comes back.
class Output extends Writable {
  constructor(fd) {
    super();
    this.fd = fd;
    this._type = 'fs';
  }

  _write(chunk, encoding, done) {
    writeAll(this.fd, chunk);
    done();
  }

  destroy() {
    return this;
  }
}

function replaceStreams() {
  for (const [name, fd] of [['stdout', 1], ['stderr', 2]]) {
    const stream = new Output(fd);
    Object.defineProperty(process, name,
      { configurable: true, enumerable: true, get: () => stream });
  }
  readFrom('/dev/null');
}

function readFrom(file) {
  fs.closeSync(0);
  fs.openSync(file, 'r'); // takes its place
}

function split(bytes, count) {
  const parts = [];
  let at = 0;
  while (parts.length < count) {
    const end = bytes.indexOf(0, at);
    parts.push(bytes.toString('utf8', at, end));
    at = end + 1;
  }
  return [...parts, bytes.subarray(at)];
}

// A text of quotes is twice as long as JSON, one of control characters six times.
function sizeAsWritten(bytes) {
  const BACKSLASH = 92, QUOTE = 34, U = 117;
  let size = bytes.length - (bytes[0] === QUOTE ? 2 : 0);
  for (let at = bytes.indexOf(BACKSLASH); at >= 0 && at < bytes.length; at++) {
    if (bytes[at] === BACKSLASH) {
      const more = bytes[at + 1] === U ? 5 : 1;
      size -= more;
      at += more;
    }
  }
  return size;
}

function checkUnicode(text) {
  const lone = text.includes('\\ud') && /(?<!\\)(?:\\\\)*\\ud[89a-f]/.exec(text);
  if (lone) {
    const near = text.slice(Math.max(0, lone.index - 20), lone.index + 26);
    throw new TypeError("the handler's return value has text in it that is not Unicode, near " +
      near);
  }
}

function toJson(value) {
  let text;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    const why = error instanceof RangeError ? 'it is nested too deeply' : error.message;
    throw new TypeError(`the handler's return value cannot be written as JSON: ${why}`);
  }
  text = text === undefined ? 'null' : text;
  checkUnicode(text);
  const bytes = Buffer.from(text);
  const size = bytes.length > MAX_RESULT ? sizeAsWritten(bytes) : bytes.length;
  if (size > MAX_RESULT) {
    throw new RangeError(`the handler's return value is ${size} bytes of JSON, ` +
      `over the limit of ${MAX_RESULT}`);
  }
  return bytes;
}

// The second argument of a handler. The names are those of AWS Lambda's; requestId and timeoutMs
// are ours.
class Context {
  constructor(call, id, timeoutMs) {
    const end = performance.now() + timeoutMs, setting = process.env;
    this.callbackWaitsForEmptyEventLoop = true;
    this.requestId = this.awsRequestId = id;
    this.timeoutMs = timeoutMs;
    this.functionName = setting.NOVA_FUNCTION_NAME || '';
    this.functionVersion = '$LATEST';
    this.memoryLimitInMB = setting.NOVA_FUNCTION_MEMORY_MB || '';
    this.invokedFunctionArn = `nova:function:${this.functionName}`;
    this.logGroupName = `/nova/${this.functionName}`;
    this.logStreamName = require('os').hostname();
    this.getRemainingTimeInMillis = () => Math.max(0, Math.floor(end - performance.now()));
    this.done = (error, value) => call.calledBack(error, value);
    this.succeed = (value) => call.calledBack(null, value);
    this.fail = (error) => call.calledBack(error === undefined ? null : error);
  }
}

// One call. It is answered once, when the event loop comes by: what it has left rejected until then
// is its failure.
class Call {
  constructor(interpreter, id, timeoutMs) {
    this.interpreter = interpreter;
    this.context = new Context(this, id, timeoutMs);
    this.ended = this.promised = false;
    this.answer = undefined; // what is sent when nothing is left to wait for
  }

  run(handler, event) {
    const callback = (error, value) => this.calledBack(error, value);
    try {
      const value = handler(event, this.context, callback);
      if (value && typeof value.then === 'function') {
        this.promised = true;
        value.then((result) => this.succeed(result), (error) => this.fail(error));
      } else if (value !== undefined && handler.length < 3) {
        this.succeed(value);
      }
    } catch (error) {
      this.fail(error);
    }
  }

  runScript(file, module, input, told) {
    this.script = true;
    const { NOVA_ARGS, NOVA_STDIN } = process.env;
    process.env.NOVA_INPUT = input;
    if (told) {
      process.env.NOVA_CLIENT_CONTEXT = told;
    }
    process.argv = [process.execPath, file, ...(NOVA_ARGS ? JSON.parse(NOVA_ARGS) : [input])];
    if (NOVA_STDIN) {
      readFrom(path.join(this.interpreter.directory, NOVA_STDIN));
    }
    if (module) {
      import(pathToFileURL(file)).catch((error) => this.interpreter.fatal(error));
      return;
    }
    try {
      Module._load(file, null, true);
    } catch (error) {
      this.interpreter.fatal(error);
    }
  }

  calledBack(error, value) {
    this.answer = this.answer || (() => {
      if (error !== null && error !== undefined) {
        this.fail(isError(error) ? error : new Error(String(error)));
      } else {
        this.succeed(value);
      }
    });
    if (!this.context.callbackWaitsForEmptyEventLoop) {
      this.answer();
    }
  }

  // Nothing is left to wait for.
  idle() {
    if (this.script) {
      this.interpreter.end('x', String(Number(process.exitCode) & 255));
    } else if (this.answer) {
      this.answer();
    } else if (this.promised) {
      this.fail(new Error(`the handler has ended without an answer: ${NO_ANSWER}`));
    } else {
      this.succeed(null);
    }
  }

  succeed(value) {
    let bytes;
    try {
      bytes = toJson(value);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.finish('R', bytes);
  }

  fail(error) {
    if (!this.ended) {
      process.stderr.write(stackOf(error));
      this.finish('E', describe(error));
    }
  }

  finish(kind, text) {
    if (!this.ended) {
      this.ended = true;
      setImmediate(() => this.interpreter.reply(this, kind, text));
    }
  }
}

class Interpreter {
  constructor() {
    this.native = { exports: {} };
    process.dlopen(this.native, `/proc/self/fd/${NATIVE}`);
    fs.closeSync(NATIVE);
    this.native = this.native.exports;
    this.room = Buffer.alloc(ROOM);
    this.randomness = new Randomness(this.native, (error) => {
      const where = this.places.of(error);
      return where ? ` in ${where.split(';')[0]}` : '';
    });
    this.root = new AsyncResource('nova');
    this.talk = TALK;
    this.after = () => this.next();
    this.current = this.handler = null;
    this.ready = false;
  }

  // --- becoming the function's ---

  waitForOrder() {
    fs.writeSync(SOCK, 'w');
    const count = fs.readSync(SOCK, this.room);
    const fields = this.room.toString('utf8', 0, count).split('\0');
    if (!count) {
      process.reallyExit(0);
    }
    [this.file, this.moduleName, this.name, this.directory, this.modules] = fields;
    const flags = fields[FIELDS - 1];
    [this.once, this.program] = [flags.includes('1'), flags.includes('p')];
    if (fields.length > FIELDS) {
      Object.keys(process.env).forEach((name) => delete process.env[name]);
    }
    this.setVariables(fields.slice(FIELDS));
    process.chdir(this.directory);
    this.places = new Places(this.directory, this.modules);
    this.randomness.copied(); // this may be a clone of the machine that it was started in
  }

  setVariables(variables) {
    for (const variable of variables) {
      const at = variable.indexOf('=');
      process.env[variable.slice(0, at)] = variable.slice(at + 1);
    }
  }

  beginWatch() {
    const reallyExit = process.reallyExit;
    process.on('beforeExit', () => this.idle());
    process.on('uncaughtException', (error) => {
      if (process.listenerCount('uncaughtException') === 1) { // else the function sees to it
        this.fatal(error);
      }
    });
    process.reallyExit = (code) => {
      this.send('x', String(Number(code) & 255));
      reallyExit.call(process, code);
    };
    this.exit = (code) => reallyExit.call(process, code);
    process.argv = [process.execPath, this.file];
    process.execArgv = [];
    process.mainModule = undefined;
    delete require.cache[OWN];
  }

  async load() {
    const own = !path.extname(this.file);
    const kind = own || !this.name ? kindOf(fs.readFileSync(this.file, 'utf8')) : {};
    const short = this.places.short(this.file);
    this.module = isModule(this.file, kind);
    if (this.module && own) {
      this.file = path.join(this.modules, `${this.moduleName}.mjs`);
    }
    if (!this.name && (!kind.exports || this.program)) {
      return;
    }
    let exported = await this.import();
    if (typeof exported === 'function') {
      exported = Object.assign((...args) => exported(...args), { default: exported }, exported);
    } else if (this.module && !((this.name || 'handler') in exported) &&
      typeof exported.default === 'object' && exported.default) {
      exported = exported.default;
    }
    this.name = choose(exported, this.name, short);
    this.handler = findFunction(exported, this.name, short);
    this.hooks = { B: exported.beforeSnapshot, A: exported.afterRestore };
  }

  async import() {
    this.randomness.watch();
    try {
      return this.module ? await import(pathToFileURL(this.file)) :
        Module._load(this.file, null, false);
    } finally {
      this.draws = this.randomness.imported();
    }
  }

  async start() {
    try {
      await this.load();
    } catch (error) {
      this.refuse(error);
      return;
    }
    if (this.handler && !this.once) {
      await this.rehearse();
    }
    delete process.env.NOVA_REQUEST_ID;
    this.ready = true;
    const has = (letter) => typeof this.hooks?.[letter] === 'function';
    const letters = `p${has('B') ? 'b' : ''}${has('A') ? 'a' : ''}`;
    const kind = this.handler ? 'Rhandler' : 'Rscript';
    fs.writeSync(SOCK, [kind, letters, this.draws || '', this.handler ? this.name : ''].join('\0'));
    setImmediate(this.after);
  }

  refuse(error) {
    let text = error;
    if (error instanceof SyntaxError && !this.places.of(error)) {
      findSyntaxError(error, this.file);
    }
    if (error instanceof NoHandler) {
      text = error.message;
    } else if (typeof error !== 'string') {
      process.stderr.write(stackOf(error));
      text = `${this.places.short(this.file)} cannot be imported: ${this.places.tell(error)}`;
    }
    fs.writeSync(SOCK, 'E' + text.replace(/\0/g, ' ').slice(0, 4000));
    this.exit(1);
  }

  // All that a call runs, but the function: its code is then compiled, its pages are there.
  async rehearse() {
    const { handler, after } = this;
    this.talk = fs.openSync('/dev/null', 'w');
    this.handler = async (event) => event;
    for (let n = 0; n < 16; n++) {
      await new Promise((done) => {
        this.after = done;
        this.begin(Buffer.from('\0' + '0\0\0\0\0{}'));
      });
    }
    fs.closeSync(this.talk);
    Object.assign(this, { handler, after, talk: TALK });
  }

  // --- one call after the other ---

  next() {
    const count = fs.readSync(this.talk, this.room);
    if (!count) {
      this.exit(0); // the agent is gone
    } else if (count === 1) {
      this.runHook(this.room.toString('latin1', 0, 1));
    } else {
      this.begin(Buffer.from(this.room.subarray(0, count)));
    }
  }

  // Within no context of the call before.
  outside(run) {
    return this.root.runInAsyncScope(() => new AsyncResource('nova')).runInAsyncScope(run);
  }

  begin(message) {
    const [id, timeoutMs, flags, file, told, input] = split(message, 5);
    this.native.nameRequest(id);
    if (flags.includes('r')) {
      this.randomness.copied();
    }
    if (flags.includes('v')) { // which are in no template
      const count = fs.readSync(this.talk, this.room);
      if (!count) { // nobody is there to give them, nor to get an answer
        process.reallyExit(0);
      }
      this.setVariables(this.room.toString('utf8', 0, count).split('\0').slice(0, -1));
    }
    const call = this.current = new Call(this, id, Number(timeoutMs));
    if (told) {
      call.context.clientContext = JSON.parse(told);
    }
    this.outside(() => {
      if (flags.includes('n')) {
        call.run((event) => event, JSON.parse(input));
        return;
      }
      if (!this.handler) {
        call.runScript(this.file, this.module, file, told);
        return;
      }
      // The agent has checked it.
      call.run(this.handler, JSON.parse(input.length ? input : fs.readFileSync(file, 'utf8')));
    });
  }

  reply(call, kind, text) {
    if (call === this.current) {
      this.send(kind, text);
      this.after();
    }
  }

  send(kind, text) {
    if (!this.current) {
      return;
    }
    this.current = null;
    const bytes = Buffer.isBuffer(text) ? text : Buffer.from(text).subarray(0, 4000);
    const message = Buffer.alloc(9 + bytes.length);
    message.write(kind, 'latin1');
    message.writeUInt32LE(bytes.length, 1);
    bytes.copy(message, 9);
    for (let at = 0; at < message.length; at += PIECE) {
      writeAll(this.talk, message.subarray(at, at + PIECE));
    }
  }

  // --- what comes in between ---

  // The event loop has nothing to do.
  idle() {
    if (this.current) {
      this.current.idle();
    } else if (!this.ready) {
      this.refuse(`the import of ${this.places.short(this.file)} never ends: ${NO_ANSWER}`);
    } else if (this.hook) {
      this.hook(new Error(`it never ends: ${NO_ANSWER}`));
    }
  }

  // An error that nobody caught: in what state the function is now nobody knows.
  fatal(error) {
    if (!this.ready) {
      this.refuse(error);
    } else if (this.hook) {
      this.hook(error);
    } else {
      process.stderr.write(stackOf(error));
      this.end('e', describe(error));
    }
  }

  // Its last word.
  end(kind, text) {
    process.emit('exit', process.exitCode = kind === 'e' ? 1 : Number(text));
    this.send(kind, text);
    this.exit(process.exitCode);
  }

  async runHook(letter) {
    if (letter === 'A') {
      this.randomness.copied();
    }
    try {
      await new Promise((done, fail) => {
        this.hook = fail;
        this.outside(async () => this.hooks[letter]()).then(done, fail);
      });
    } catch (error) {
      process.stderr.write(stackOf(error));
      fs.writeSync(SOCK, 'F' + this.places.tell(error).replace(/\0/g, ' ').slice(0, 400));
      this.exit(1);
    }
    this.hook = null;
    fs.writeSync(SOCK, 'D');
    setImmediate(this.after);
  }
}

const interpreter = new Interpreter();
replaceStreams();
interpreter.waitForOrder();
interpreter.beginWatch();
interpreter.start();
