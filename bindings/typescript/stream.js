// SPDX-License-Identifier: MIT
// The events of an execution, which is listened to again when the connection is lost.

export class FaaSError extends Error {
  constructor(message, { status = 0, code = 'connection', outcome = 'unknown', requestId = '',
    retryAfter = undefined } = {}) {
    super(message);
    this.name = 'FaaSError';
    Object.assign(this, { status, code, outcome, requestId, retryAfter });
  }
  static of(problem, retryAfter) {
    return new FaaSError(problem.error ?? problem.detail ?? 'no reason was given', {
      status: problem.status, code: problem.code ?? 'internal', outcome: problem.outcome,
      requestId: problem.request_id, retryAfter });
  }
}

const PATH = '/api/v1/execute/stream';
const PIECE_MAX = 1 << 20; // bytes that novad takes in one message
const TRIES = 5; // to come back

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// Pages and Node 22 have WebSockets, which cannot send headers: the key is a protocol there.
async function open(url, key) {
  if (globalThis.WebSocket)
    return new globalThis.WebSocket(url, key ? ['nova.v1', `nova.key.${key}`] : ['nova.v1']);
  const { NodeSocket } = await import('./socket.js');
  return new NodeSocket(url, key ? { 'x-api-key': key } : {});
}

function bytesOf(told) {
  if (told.encoding === 'base64') return Uint8Array.from(atob(told.data), (c) => c.charCodeAt(0));
  return new TextEncoder().encode(told.data);
}

function eventOf(told) {
  if (told.event === 'gap') return { event: 'gap', id: told.id, missing: told.missing, data: '' };
  const raw = bytesOf(told);
  const data = new TextDecoder().decode(raw);
  return { event: 'output', id: told.id, stream: told.stream, data, raw };
}

// Iterate over it with `for await`, or give it listeners with on('output' | 'gap' | 'error' |
// 'complete').
export class Stream {
  #client; #start; #last; #socket; #queue = []; #wake = () => {}; #over = false; #tries = 0;
  #listeners = {}; #pumping = false; #stopped = false;
  executionId; result;

  constructor(client, execution, after) {
    if (!execution) throw new TypeError('an id, or what is to be run, is needed');
    this.#client = client;
    this.#last = after;
    if (typeof execution === 'string') this.executionId = execution;
    else this.#start = execution;
  }

  #url() {
    const url = this.#client.endpoint.replace(/^http/, 'ws') + PATH;
    const asked = { execution_id: this.executionId, after: this.#last };
    return this.executionId ? `${url}?${new URLSearchParams(asked)}` : url;
  }

  async #connect() {
    const socket = await open(this.#url(), this.#client.apiKey);
    const put = (item) => { this.#queue.push(item); this.#wake(); };
    socket.onmessage = (message) => put({ text: message.data });
    let opened = false, closed = false;
    const end = ({ problem }) => {
      if (!closed) put({ closed: true, opened, problem });
      closed = true;
    };
    socket.onclose = end;
    socket.onerror = end; // not every WebSocket closes after it
    socket.onopen = () => {
      opened = true;
      if (!this.executionId) socket.send(JSON.stringify(this.#start));
    };
    this.#socket = socket;
  }

  async #next() {
    while (!this.#queue.length) await new Promise((wake) => { this.#wake = wake; });
    return this.#queue.shift();
  }

  // The event that the caller is to see; undefined: none.
  #take(told) {
    this.#tries = 0;
    this.#last = told.id ?? this.#last;
    if (told.event === 'started') this.executionId = told.executionId;
    if (told.event === 'complete') this.result = told;
    this.#over = told.event === 'complete' || told.event === 'error';
    if (told.event === 'error') throw FaaSError.of(told);
    if (told.event === 'refused')
      throw new FaaSError(told.error, { code: 'refused', outcome: 'never_ran' });
    return told.event === 'output' || told.event === 'gap' ? eventOf(told) : undefined;
  }

  // Why it was not opened; a WebSocket of a page does not tell.
  async #ask() {
    const headers = this.#client.apiKey ? { 'x-api-key': this.#client.apiKey } : {};
    try {
      const response = await this.#client.fetch(this.#url().replace(/^ws/, 'http'), { headers });
      return response.status === 426 ? undefined : await response.json();
    } catch {
      return undefined;
    }
  }

  async #lost({ opened, problem }) {
    this.#tries += 1;
    const why = problem ?? (opened ? undefined : await this.#ask());
    if (why) throw FaaSError.of(why);
    if (!this.executionId || this.#tries > TRIES) throw new FaaSError('the connection is lost');
    await pause(100 * 2 ** (this.#tries - 1));
    await this.#connect();
  }

  async *[Symbol.asyncIterator]() {
    try {
      await this.#connect();
      while (!this.#over && !this.#stopped) {
        const item = await this.#next();
        if (item.closed) await this.#lost(item);
        const event = item.closed ? undefined : this.#take(JSON.parse(item.text));
        if (event) yield event;
      }
    } finally {
      this.close();
    }
  }

  on(name, listener) {
    (this.#listeners[name] ??= []).push(listener);
    if (!this.#pumping) {
      this.#pumping = true;
      queueMicrotask(() => this.#pump());
    }
    return this;
  }

  #tell(name, what) {
    for (const listener of this.#listeners[name] ?? []) listener(what);
  }

  async #pump() {
    try {
      for await (const event of this) this.#tell(event.event, event);
    } catch (error) {
      this.#tell('error', error);
      return;
    }
    if (this.result) this.#tell('complete', this.result);
  }

  #send(message) {
    if (!this.#socket)
      throw new FaaSError('nothing is being listened to',
        { code: 'refused', outcome: 'never_ran' });
    this.#socket.send(message);
  }

  // A piece of stdin: a text, or bytes.
  send(data) {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : new Uint8Array(data);
    for (let at = 0; at === 0 || at < bytes.length; at += PIECE_MAX)
      this.#send(bytes.subarray(at, at + PIECE_MAX));
  }
  endStdin() { this.#send('{"event":"stdin","end":true}'); }
  // Cancels the execution.
  stop() { this.#send('{"event":"stop"}'); }
  // Listens no more; the execution goes on for a while.
  close() {
    this.#stopped = true;
    this.#wake();
    this.#socket?.close();
    this.#socket = undefined;
  }
}
