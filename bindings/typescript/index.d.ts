// SPDX-License-Identifier: MIT
export type Outcome = 'never_ran' | 'ran' | 'unknown';

/** A problem that novad has told of, or that kept it from being asked. */
export class FaaSError extends Error {
  constructor(message: string, about?: { status?: number; code?: string; outcome?: Outcome;
    requestId?: string; retryAfter?: number });
  /** HTTP status; 0: there was no answer */
  readonly status: number;
  /** for programs: it never changes its meaning (docs/novad.md) */
  readonly code: string;
  /** whether the function ran; after never_ran trying again is safe */
  readonly outcome: Outcome;
  readonly requestId: string;
  /** seconds after which to try again */
  readonly retryAfter?: number;
}

export type Pairs = Record<string, string> | string[];
export type Bytes = string | number[];

export interface ExecuteFields {
  code?: string;
  language?: string;
  command?: string[];
  mode?: 'ephemeral' | 'cached' | 'checkpointed' | 'branched' | 'persistent';
  handler?: string;
  input?: unknown;
  args?: string[];
  files?: Record<string, string>;
  network?: 'none' | 'nat';
  image?: string;
  env_vars?: Pairs;
  /** stdin: base64, or numbers from 0 to 255 */
  payload?: Bytes;
  timeout?: number;
  timeout_ms?: number;
  resources?: { cpu_cores?: number; memory_mb?: number };
  /** take a snapshot afterwards: Result.snapshot_id */
  checkpoint_after?: boolean;
  /** the snapshot to go on from */
  parent_snapshot?: string;
  /** the same; without mode it is checkpointed */
  checkpoint_id?: string;
  /** the same; without mode it is branched */
  branch_from?: string;
  /** where it runs, of mode persistent; else a new one: Result.instance_id */
  instance?: string;
  /** answer at once: what it prints comes from stream() */
  stream?: boolean;
}

export interface StreamFields extends Omit<ExecuteFields, 'stream'> {
  directory?: string;
  stdin?: boolean;
}

export interface Result {
  stdout: string;
  stderr: string;
  error: string | null;
  exit_code: number;
  output?: unknown;
  truncated: boolean;
  cold_start: boolean;
  duration_ms: number;
  executionId: string;
  mode: string;
  snapshot_id?: string;
  instance_id?: string;
}

export interface Complete extends Omit<Result, 'stdout' | 'stderr'> {
  event: 'complete';
  id: number;
  exitCode: number;
}

export interface OutputEvent {
  event: 'output';
  id: number;
  stream: 'stdout' | 'stderr';
  data: string;
  raw: Uint8Array;
}

/** So many events before this one are not kept any more. */
export interface GapEvent {
  event: 'gap';
  id: number;
  missing: number;
  data: '';
}

export class Stream implements AsyncIterable<OutputEvent | GapEvent> {
  /** once it has begun */
  readonly executionId?: string;
  /** when it has run to its end */
  readonly result?: Complete;
  [Symbol.asyncIterator](): AsyncIterator<OutputEvent | GapEvent>;
  on(name: 'output', listener: (event: OutputEvent) => void): this;
  on(name: 'gap', listener: (event: GapEvent) => void): this;
  on(name: 'error', listener: (error: FaaSError) => void): this;
  on(name: 'complete', listener: (result: Complete) => void): this;
  /** A piece of stdin. */
  send(data: string | Uint8Array): void;
  endStdin(): void;
  /** Cancels the execution. */
  stop(): void;
  /** Listens no more. */
  close(): void;
}

export interface FunctionFields {
  name?: string;
  runtime?: string;
  code?: string;
  code_base64?: Bytes;
  handler?: string;
  memory_mb?: number;
  timeout_s?: number;
  vcpus?: number;
  min_replicas?: number;
  concurrency?: number;
  env_vars?: Pairs;
  labels?: Pairs;
  network?: 'none' | 'nat';
  in_place?: boolean;
  keep_tmp?: boolean;
  check?: 'auto' | 'always' | 'never';
}

export interface Fn {
  name: string;
  version: number;
  runtime: string;
  [property: string]: unknown;
}

export interface Alias {
  function: string;
  name: string;
  version: number;
  second: number;
  weight: number;
}

export interface Instance {
  id: string;
  name: string;
  state: string;
  [property: string]: unknown;
}

export interface Snapshot {
  id: string;
  name: string;
  parent: string;
  function: string | null;
  [property: string]: unknown;
}

export interface GuestFile {
  path: string;
  kind: 'file' | 'directory' | 'link' | 'other';
  size: number;
  mode: number;
  mtime_us: number;
  target: string;
}

export interface Functions {
  list(page?: { limit?: number; cursor?: string; label?: string }): Promise<
    { functions: Fn[]; next_cursor: string | null }>;
  create(fields: FunctionFields & { name: string; runtime: string }): Promise<Fn>;
  get(name: string): Promise<Fn>;
  replace(name: string, fields: FunctionFields & { runtime: string }): Promise<Fn>;
  /** Changes only what is given; `reset` names what is to have its default again. */
  update(name: string, changed: FunctionFields & { reset?: string[] }): Promise<Fn>;
  delete(name: string, how?: { force?: boolean }): Promise<void>;
  publish(name: string): Promise<Fn>;
  versions(name: string): Promise<{ versions: Fn[] }>;
  aliases(name: string): Promise<{ aliases: Alias[] }>;
  setAlias(name: string, alias: string, fields: { version: number; second?: number;
    weight?: number }): Promise<Alias>;
  rollBack(name: string, alias: string): Promise<Alias>;
  deleteAlias(name: string, alias: string): Promise<void>;
}

export interface Instances {
  list(): Promise<{ instances: Instance[] }>;
  start(fields: { function: string; name?: string; snapshot_id?: string; cpu_cores?: number;
    memory_mb?: number }): Promise<Instance>;
  get(id: string): Promise<Instance>;
  stop(id: string, how?: { grace_ms?: number }): Promise<{ stopped: string; killed: boolean }>;
  pause(id: string): Promise<Instance>;
  resume(id: string): Promise<Instance>;
  exec(id: string, command: string[], more?: { env_vars?: Pairs; payload?: Bytes;
    directory?: string; timeout_ms?: number }): Promise<Result>;
  files(id: string, path: string, more?: { depth?: number }): Promise<{ files: GuestFile[] }>;
  read(id: string, path: string): Promise<Uint8Array>;
  write(id: string, path: string, data: Uint8Array | string,
    more?: { mode?: number }): Promise<void>;
  remove(id: string, path: string): Promise<void>;
  /** In Node. `exclude` are names or patterns with '*' and '?'; returns what was done, or with
   * dryRun would be. Symbolic links and empty directories are left out. */
  sync(id: string, options: { localDir: string; remoteDir?: string; exclude?: string[];
    direction?: 'up' | 'down'; delete?: boolean; dryRun?: boolean }): Promise<
    ['write' | 'remove', string][]>;
  /** Not there yet: it is refused with what novad says. */
  expose(id: string, port?: { name?: string; port?: number }): Promise<never>;
}

export interface Snapshots {
  list(): Promise<{ snapshots: Snapshot[] }>;
  take(instance: string, more?: { name?: string; life_time_s?: number }): Promise<Snapshot>;
  get(id: string): Promise<Snapshot>;
  restore(id: string, more?: { name?: string; function?: string }): Promise<Instance>;
  delete(id: string): Promise<void>;
}

/** What a call has left behind. */
export interface Invocation {
  number: number;
  request_id: string;
  function: string;
  /** null: it succeeded */
  code: string | null;
  error: string;
  stdout: string;
  stderr: string;
  started_us: number;
  duration_us: number;
  [property: string]: unknown;
}

export interface CallFilter {
  function?: string;
  since_us?: number;
  until_us?: number;
}

export interface Logs {
  /** A page, the newest first; with order 'oldest' and wait_ms it waits for what comes. */
  list(which?: CallFilter & { version?: number; errors?: 'true' | 'false';
    order?: 'newest' | 'oldest'; limit?: number; cursor?: number; wait_ms?: number }): Promise<
    { invocations: Invocation[]; next_cursor: number | null }>;
  /** Of one call, by its executionId or X-Nova-Execution-Id. */
  get(requestId: string): Promise<Invocation>;
  /** Calls, errors and times by function. */
  stats(which?: CallFilter): Promise<{ functions: { function: string; calls: number;
    errors: number; cold: number; p50_us: number; p95_us: number; p99_us: number;
    longest_us: number }[] }>;
}

/** Money is in nano-dollars. */
export interface Bill {
  total_nano: number;
  subtotal_nano: number;
  discount_nano: number;
  tier: string;
  calls: number;
  mcu_micro: number;
  [property: string]: unknown;
}

export interface Usage {
  list(which?: { since_us?: number; until_us?: number; period?: 'ever' | 'hour' | 'day' | 'month';
    by?: 'key' | 'function' | 'key,function'; function?: string; key?: string; limit?: number;
    cursor?: string }): Promise<
    { usage: { [property: string]: unknown }[]; next_cursor: string | null }>;
  bill(which?: { time_us?: number; key?: string }): Promise<Bill>;
  estimate(what: { function?: string; calls?: number; duration_us?: number; memory_mb?: number;
    cpu_cores?: number; mode?: string; egress_bytes?: number; ingress_bytes?: number;
    gpu_us?: number; disk_mb?: number; snapshot_kb?: number; snapshot_life_s?: number }):
    Promise<Bill>;
}

/** What functions are given and nobody else. No call gives a value back. */
export interface Secrets {
  /** key_id: which key it is encrypted with */
  list(): Promise<{ secrets: { name: string; key_id: string; created_us: number;
    updated_us: number }[] }>;
  set(name: string, value: string): Promise<void>;
  delete(name: string): Promise<void>;
  /** What is encrypted with another key than the first gets that one. */
  rotate(): Promise<{ rotated: number }>;
}

/** Values that a function keeps under keys (docs/kv.md), in the order of bytes. */
export interface Kv {
  get(name: string, key: string): Promise<
    { value: Uint8Array; version: number; expires_us: number }>;
  /** ifVersion: only if the key has that one; isNew: only if it is not there; else it rejects */
  put(name: string, key: string, value: Uint8Array | string, how?: { ttlMs?: number;
    ifVersion?: number; isNew?: boolean }): Promise<{ version: number }>;
  delete(name: string, key: string, how?: { ifVersion?: number }): Promise<void>;
  /** A page, without values: behind `after`, the last key of the page before. */
  list(name: string, page?: { prefix?: string; after?: string; limit?: number }): Promise<
    { keys: { key: string; size: number; version: number; expires_us: number }[] }>;
}

/** Files that a function keeps. */
export interface Files {
  get(name: string, file: string): Promise<{ data: Uint8Array; type: string; sha256: string }>;
  put(name: string, file: string, content: Uint8Array | string, type?: string): Promise<void>;
  delete(name: string, file: string): Promise<void>;
  list(name: string, page?: { prefix?: string; after?: string; limit?: number }): Promise<
    { files: { name: string; type: string; sha256: string; size: number; updated_us: number }[] }>;
}

export class FaaSClient {
  /** Without options the variables FAAS_API_KEY and FAAS_API_URL count, where there are such. */
  constructor(options?: { apiKey?: string; endpoint?: string; fetch?: typeof fetch });
  readonly endpoint: string;
  readonly functions: Functions;
  readonly instances: Instances;
  readonly snapshots: Snapshots;
  readonly logs: Logs;
  readonly usage: Usage;
  readonly secrets: Secrets;
  readonly kv: Kv;
  readonly files: Files;
  /** Any operation of /openapi.json by its operationId; a body that is given goes as it is. */
  call(name: string, parameters?: Record<string, unknown>, body?: Uint8Array | string,
    how?: { signal?: AbortSignal }): Promise<any>;
  /** Runs code once, or a command. */
  execute(fields: ExecuteFields, how?: { signal?: AbortSignal }): Promise<Result>;
  /** Calls a function; what it returned is the answer. */
  invoke(name: string, event?: unknown, how?: { signal?: AbortSignal; mode?: string;
    snapshot?: string; instance?: string; checkpoint_name?: string;
    timeout_ms?: number }): Promise<any>;
  /** The events of an execution, by its id, or of what is to be run as by execute(). */
  stream(execution: string | StreamFields, how?: { after?: number }): Stream;
  /** Of an instance, or of an execution that has left one, or a snapshot. */
  createSnapshot(instance: string,
    more?: { name?: string; life_time_s?: number }): Promise<Snapshot>;
  /** An instance that goes on from it; `code` runs in it first. */
  createBranch(snapshot: string, more?: { branch_name?: string; function?: string; code?: string;
    timeout_ms?: number }): Promise<
    { branch_id: string; [property: string]: unknown }>;
  mergeBranches(branches: string[], more?: { parent_snapshot_id?: string; merge_strategy?: string;
    name?: string; directory?: string }): Promise<
    { snapshot_id: string; [property: string]: unknown }>;
}
