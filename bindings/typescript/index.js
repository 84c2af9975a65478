// SPDX-License-Identifier: MIT
// A client of novad, the HTTP gateway of libnova, for Node and for pages.
import { later, operations } from './operations.js';
import { FaaSError, Stream } from './stream.js';

export { FaaSError, Stream };

// What an operation of the document and its parameters come to.
function requestOf(name, parameters, body) {
  const known = operations[name] ?? later[name];
  if (!known) throw new TypeError(`there is no operation '${name}'`);
  const [method, pattern, query, fields] = known;
  const inPath = [...pattern.matchAll(/{(\w+)}/g)].map((found) => found[1]);
  const names = new Set([...inPath, ...query, ...(fields ?? [])]);
  for (const given of Object.keys(parameters))
    if (!names.has(given))
      throw new TypeError(`${name} takes ${[...names].sort().join(', ')}, not ${given}`);
  let path = pattern;
  for (const part of inPath) {
    if (parameters[part] === undefined) throw new TypeError(`${name} needs ${part}`);
    path = path.replace(`{${part}}`, encodeURIComponent(parameters[part]));
  }
  const asked = new URLSearchParams();
  for (const key of query)
    if (parameters[key] !== undefined) asked.set(key, String(parameters[key]));
  if (String(asked)) path += `?${asked}`;
  const headers = {};
  if (fields && body === undefined) {
    const given = fields.filter((key) => parameters[key] !== undefined);
    body = JSON.stringify(Object.fromEntries(given.map((key) => [key, parameters[key]])));
    headers['Content-Type'] = 'application/json';
  }
  return { method, path, headers, body };
}

// `shape` makes the answer of headers and bytes.
async function read(response, shape) {
  const kind = response.headers.get('Content-Type') ?? '';
  const data = new Uint8Array(await response.arrayBuffer());
  const text = () => new TextDecoder().decode(data);
  if (!response.ok) {
    let problem;
    try {
      problem = JSON.parse(text());
    } catch {
      problem = { error: text().slice(0, 1000), status: response.status };
    }
    const after = Number(response.headers.get('Retry-After') ?? NaN);
    throw FaaSError.of(problem, Number.isNaN(after) ? undefined : after);
  }
  if (shape) return shape(response.headers, data);
  if (kind.startsWith('application/json')) return JSON.parse(text());
  return data.length ? data : undefined;
}

class Functions {
  constructor(client) {
    this.call = client.call.bind(client);
  }
  list(page = {}) { return this.call('listFunctions', page); }
  create(fields) { return this.call('createFunction', fields); }
  get(name) { return this.call('getFunction', { id: name }); }
  replace(name, fields) { return this.call('putFunction', { ...fields, id: name }); }
  update(name, changed) { return this.call('patchFunction', { ...changed, id: name }); }
  delete(name, { force = false } = {}) {
    return this.call('deleteFunction', { id: name, force: force ? 'true' : undefined });
  }
  publish(name) { return this.call('publishVersion', { id: name }); }
  versions(name) { return this.call('listVersions', { id: name }); }
  aliases(name) { return this.call('listAliases', { id: name }); }
  setAlias(name, alias, fields) { return this.call('putAlias', { ...fields, id: name, alias }); }
  rollBack(name, alias) { return this.call('rollbackAlias', { id: name, alias }); }
  deleteAlias(name, alias) { return this.call('deleteAlias', { id: name, alias }); }
}

class Instances {
  constructor(client) {
    this.call = client.call.bind(client);
  }
  list() { return this.call('listInstances'); }
  start(fields) { return this.call('startInstance', fields); }
  get(id) { return this.call('getInstance', { id }); }
  stop(id, how = {}) { return this.call('stopInstance', { ...how, id }); }
  pause(id) { return this.call('pauseInstance', { id }); }
  resume(id) { return this.call('resumeInstance', { id }); }
  exec(id, command, more = {}) { return this.call('execInInstance', { ...more, id, command }); }
  files(id, path, more = {}) { return this.call('listFiles', { ...more, id, path }); }
  async read(id, path) { return (await this.call('readFile', { id, path })) ?? new Uint8Array(); }
  write(id, path, data, more = {}) { return this.call('writeFile', { ...more, id, path }, data); }
  remove(id, path) { return this.call('removeFile', { id, path }); }
  async sync(id, options) {
    const { sync } = await import('./sync.js'); // it needs Node
    return sync(this, id, options);
  }
  expose(id, port = {}) { return this.call('exposePort', { ...port, id }); }
}

class Snapshots {
  constructor(client) {
    this.call = client.call.bind(client);
  }
  list() { return this.call('listSnapshots'); }
  take(instance, more = {}) {
    return this.call('takeSnapshot', { ...more, instance_id: instance });
  }
  get(id) { return this.call('getSnapshot', { id }); }
  restore(id, more = {}) { return this.call('restoreSnapshot', { ...more, id }); }
  delete(id) { return this.call('deleteSnapshot', { id }); }
}

class Logs {
  constructor(client) {
    this.call = client.call.bind(client);
  }
  list(which = {}) { return this.call('listInvocations', which); }
  get(requestId) { return this.call('getInvocation', { id: requestId }); }
  stats(which = {}) { return this.call('summarizeInvocations', which); }
}

class Usage {
  constructor(client) {
    this.call = client.call.bind(client);
  }
  list(which = {}) { return this.call('listUsage', which); }
  bill(which = {}) { return this.call('getBill', which); }
  estimate(what) { return this.call('estimateUsage', what); }
}

class Secrets {
  constructor(client) {
    this.call = client.call.bind(client);
  }
  list() { return this.call('listSecrets'); }
  set(name, value) { return this.call('putSecret', { name, value }); }
  delete(name) { return this.call('deleteSecret', { name }); }
  rotate() { return this.call('rotateSecrets'); }
}

const valueOf = (headers, value) => ({ value, version: Number(headers.get('X-Nova-Version')),
  expires_us: Number(headers.get('X-Nova-Expires-Us')) });
const fileOf = (headers, data) => ({ data, type: headers.get('X-Nova-Type'),
  sha256: headers.get('X-Nova-Sha256') });

class Kv {
  constructor(client) {
    this.call = client.call.bind(client);
  }
  get(id, key) { return this.call('getValue', { id, key }, undefined, { shape: valueOf }); }
  put(id, key, value, { ttlMs, ifVersion, isNew } = {}) {
    return this.call('putValue', { id, key, ttl_ms: ttlMs, if_version: ifVersion,
      new: isNew ? 'true' : undefined }, value);
  }
  delete(id, key, { ifVersion } = {}) {
    return this.call('deleteValue', { id, key, if_version: ifVersion });
  }
  list(id, page = {}) { return this.call('listKeys', { ...page, id }); }
}

class Files {
  constructor(client) {
    this.call = client.call.bind(client);
  }
  get(id, name) { return this.call('getKeptFile', { id, name }, undefined, { shape: fileOf }); }
  put(id, name, content, type) { return this.call('putKeptFile', { id, name, type }, content); }
  delete(id, name) { return this.call('deleteKeptFile', { id, name }); }
  list(id, page = {}) { return this.call('listKeptFiles', { ...page, id }); }
}

export class FaaSClient {
  constructor({ apiKey, endpoint, fetch } = {}) {
    const variables = globalThis.process?.env ?? {};
    this.apiKey = apiKey ?? variables.FAAS_API_KEY;
    const url = endpoint ?? variables.FAAS_API_URL ?? 'http://localhost:8080';
    if (!/^https?:\/\//.test(url))
      throw new TypeError(`'${url}' is no endpoint, as http://localhost:8080`);
    this.endpoint = url.replace(/\/+$/, '');
    this.fetch = fetch ?? ((...given) => globalThis.fetch(...given));
    this.functions = new Functions(this);
    this.instances = new Instances(this);
    this.snapshots = new Snapshots(this);
    this.logs = new Logs(this);
    this.usage = new Usage(this);
    this.secrets = new Secrets(this);
    this.kv = new Kv(this);
    this.files = new Files(this);
  }

  // Any operation of /openapi.json by its operationId; a body that is given goes as it is.
  async call(name, parameters = {}, body = undefined, { signal, shape } = {}) {
    const request = requestOf(name, parameters, body);
    if (this.apiKey) request.headers['x-api-key'] = this.apiKey;
    let response;
    try {
      response = await this.fetch(this.endpoint + request.path, { ...request, signal });
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      const why = error.cause?.message || error.cause?.code || error.message;
      throw new FaaSError(`novad at ${this.endpoint} does not answer: ${why}`);
    }
    return read(response, shape);
  }

  execute(fields, how) { return this.call('execute', fields, undefined, how); }
  invoke(name, event = {}, { signal, ...query } = {}) {
    return this.call('invoke', { ...query, id: name }, JSON.stringify(event), { signal });
  }
  // The events of an execution, by its id, or of what is to be run as by execute().
  stream(execution, { after = 0 } = {}) { return new Stream(this, execution, after); }
  createSnapshot(instance, more = {}) { return this.snapshots.take(instance, more); }
  createBranch(snapshot, more = {}) {
    return this.call('createBranch', { ...more, parent_snapshot_id: snapshot });
  }
  mergeBranches(branches, more = {}) {
    return this.call('mergeBranches', { ...more, branch_ids: branches });
  }
}
