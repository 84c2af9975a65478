// SPDX-License-Identifier: MIT
// A WebSocket for Node before 22, which has none: as much of it as streams need (RFC 6455).
import { createHash, randomBytes } from 'node:crypto';
import * as http from 'node:http';
import * as https from 'node:https';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;

function encode(opcode, data) {
  const key = randomBytes(4);
  const size = data.length < 126 ? 2 : data.length < 65536 ? 4 : 10;
  const frame = Buffer.alloc(size + 4 + data.length);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (size === 2 ? data.length : size === 4 ? 126 : 127);
  if (size === 4) frame.writeUInt16BE(data.length, 2);
  if (size === 10) frame.writeBigUInt64BE(BigInt(data.length), 2);
  key.copy(frame, size);
  for (let i = 0; i < data.length; i++) frame[size + 4 + i] = data[i] ^ key[i % 4];
  return frame;
}

export class NodeSocket {
  onopen = () => {}; onmessage = () => {}; onclose = () => {}; onerror = () => {};
  #socket; #buffer = Buffer.alloc(0); #parts = []; #closed = false; #request;

  constructor(url, headers) {
    const nonce = randomBytes(16).toString('base64');
    const wanted = createHash('sha1').update(nonce + GUID).digest('base64');
    const { request } = url.startsWith('wss:') ? https : http;
    this.#request = request(url.replace(/^ws/, 'http'), { headers: { ...headers,
      Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': nonce } });
    this.#request.on('upgrade', (response, socket, head) => {
      if (response.headers['sec-websocket-accept'] !== wanted) {
        socket.destroy();
        this.#end();
        return;
      }
      this.#open(socket, head);
    });
    this.#request.on('response', (response) => this.#refused(response));
    this.#request.on('error', () => this.#end());
    this.#request.end();
  }

  async #refused(response) {
    let text = '';
    for await (const piece of response.setEncoding('utf8')) text += piece;
    try {
      this.#end(JSON.parse(text));
    } catch {
      this.#end({ error: text, status: response.statusCode });
    }
  }

  #open(socket, head) {
    this.#socket = socket;
    socket.setTimeout(0);
    socket.on('data', (data) => this.#feed(data));
    socket.on('error', () => this.#end());
    socket.on('close', () => this.#end());
    this.onopen();
    this.#feed(head);
  }

  #end(problem) {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket?.destroy();
    this.onclose({ problem });
  }

  #feed(data) {
    this.#buffer = Buffer.concat([this.#buffer, data]);
    while (!this.#closed && this.#takeFrame());
  }

  // False: it is not whole.
  #takeFrame() {
    const buffer = this.#buffer;
    if (buffer.length < 2) return false;
    let length = buffer[1] & 0x7f, at = 2;
    if (length > 125) {
      at = length === 126 ? 4 : 10;
      if (buffer.length < at) return false;
      length = at === 4 ? buffer.readUInt16BE(2) : Number(buffer.readBigUInt64BE(2));
    }
    if (buffer.length < at + length) return false;
    this.#buffer = buffer.subarray(at + length);
    this.#take(buffer[0] & 15, buffer[0] & 0x80, buffer.subarray(at, at + length));
    return true;
  }

  #take(opcode, final, data) {
    if (opcode === PING) this.#socket.write(encode(PONG, data));
    if (opcode === CLOSE) {
      this.#socket.end(encode(CLOSE, data.subarray(0, 2)));
      this.#end();
    }
    if (opcode >= CLOSE) return;
    this.#parts.push(data);
    if (!final) return;
    const whole = Buffer.concat(this.#parts);
    this.#parts = [];
    this.onmessage({ data: whole.toString('utf8') });
  }

  send(data) {
    const text = typeof data === 'string';
    this.#socket?.write(encode(text ? TEXT : BINARY, text ? Buffer.from(data) : data));
  }

  close() {
    if (this.#closed) return;
    this.#socket?.end(encode(CLOSE, Buffer.from([3, 232])));
    if (!this.#socket) this.#request.destroy();
    this.#end();
  }
}
