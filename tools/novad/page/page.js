// SPDX-License-Identifier: MIT
// The page of novad. It reads the API that every client has, and makes text of whatever comes from
// it: nothing is ever parsed as HTML.

const API = "api/v1/";
const LOOK_MS = 2000; // between two looks at what a view shows
const WAIT_MS = 20000; // that the log waits for the next call
const CALLS = 100;
const LOG_LINES = 2000;
const SVG = "http://www.w3.org/2000/svg";

const by = (id) => document.getElementById(id);

// --- the API ---

// It stays in this tab, and goes with it.
let key = sessionStorage.getItem("key") ?? "";

class Problem extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

// What was asked with a key that was forgotten is not shown.
let session = new AbortController();

async function ask(method, path, { body, query, raw, signal } = {}) {
  const mine = session;
  const url = new URL(API + path, document.baseURI);
  for (const [name, value] of Object.entries(query ?? {}))
    if (value !== undefined && value !== null && value !== "")
      url.searchParams.set(name, value);
  const headers = key ? { "x-api-key": key } : {};
  if (body !== undefined)
    headers["Content-Type"] = "application/json";
  const response = await fetch(url, {
    method, headers, signal, body: raw ? body : body && JSON.stringify(body),
  });
  const text = await response.text();
  if (mine.signal.aborted)
    throw new DOMException("the key was forgotten", "AbortError");
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch {
    answer = text;
  }
  if (!response.ok)
    throw new Problem(response.status, answer?.error ?? `status ${response.status}`);
  return raw ? { answer, text, headers: response.headers } : answer;
}

function say(text) {
  if (by("state").textContent !== text)
    by("state").textContent = text;
}

function complain(error) {
  if (error.name === "AbortError")
    return;
  say(error.status === 401 ? `${error.message}. Type one above.`
    : error instanceof Problem ? error.message : "novad does not answer.");
}

// What is said is of something that somebody asked for, and stays until they ask for more.
let refused = false;

// Does that, and shows what then is.
async function act(work) {
  try {
    await work();
    refused = false;
    say("");
    await look();
  } catch (error) {
    complain(error);
    refused = error.name !== "AbortError";
  }
}

// --- elements ---

function put(parent, children) {
  for (const child of children.flat(Infinity))
    if (child !== null && child !== undefined && child !== false)
      parent.append(child instanceof Node ? child : String(child));
  return parent;
}

function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (attribute.startsWith("on"))
      element.addEventListener(attribute.slice(2), value);
    else if (value !== undefined && value !== null && value !== false)
      element.setAttribute(attribute, value === true ? "" : value);
  }
  return put(element, children);
}

const button = (text, id, onclick, attributes = {}) =>
  el("button", { type: "button", id, onclick, ...attributes }, text);

// What a button is called for whom its row does not tell of what it is.
const of = (text, thing) => ({ "aria-label": `${text} ${thing.name || thing.id}` });

// Leaves what is as it would be, with what is selected in it; what has the focus keeps it, if it is
// there again; else what is around it has it.
function show(place, ...children) {
  const made = put(document.createElement("div"), children);
  if (made.innerHTML === place.innerHTML)
    return;
  const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
  place.replaceChildren(...made.childNodes);
  if (focused && document.activeElement.id !== focused)
    (by(focused) ?? by("main")).focus({ preventScroll: !by(focused) });
}

const empty = (text) => el("p", { class: "empty" }, text);

function table(caption, columns, rows) {
  const heads = columns.map((column) =>
    el("th", { scope: "col", class: column.class }, column.name));
  const lines = rows.map((row) => el("tr", { "aria-current": row.current && "true" },
    row.cells.map((cell, i) => el("td", { class: columns[i].class }, cell))));
  return el("div", { class: "table" }, el("table", { "aria-label": caption },
    el("thead", {}, el("tr", {}, heads)), el("tbody", {}, lines)));
}

const list = (pairs) => el("dl", {}, pairs.filter(([, value]) => value !== "" && value !== undefined
  && value !== null).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

// --- words ---

const time = (us) => new Date(us / 1000).toLocaleTimeString();
const moment = (value) =>
  new Date(typeof value === "number" ? value / 1000 : value).toLocaleString();
const sum = (value, one, many) => `${value} ${value === 1 ? one : many}`;

function took(us) {
  if (us < 1000)
    return `${us} µs`;
  if (us < 1e6)
    return `${(us / 1000).toFixed(us < 1e4 ? 1 : 0)} ms`;
  return `${(us / 1e6).toFixed(1)} s`;
}

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; count >= 1024 && i < units.length - 1; i++)
    count /= 1024;
  return `${i && count < 10 ? count.toFixed(1) : Math.round(count)} ${units[i]}`;
}

const pairs = (object) =>
  Object.entries(object ?? {}).map(([k, v]) => (v ? `${k}=${v}` : k)).join(", ");

// --- functions ---

let chosen = null; // the name of the function that is shown
let functions = [], nextFunctions = null;

async function lookFunctions(signal) {
  const page = await ask("GET", "functions", {
    signal, query: { limit: Math.max(100, Math.min(1000, functions.length)) },
  });
  return () => {
    functions = page.functions;
    nextFunctions = page.next_cursor;
    showFunctions();
  };
}

function showFunctions() {
  by("more-functions").hidden = !nextFunctions;
  show(by("functions"), functions.length ? table("Functions", [
    { name: "Name" }, { name: "Runtime" }, { name: "Version", class: "number" },
    { name: "Memory", class: "number" }, { name: "Time limit", class: "number" },
    { name: "Labels" }, { name: "Changed" },
  ], functions.map((f) => ({
    current: f.name === chosen,
    cells: [button(f.name, `function-${f.name}`, () => choose(f.name), { class: "link" }),
      f.runtime, f.version, `${f.memory_mb} MB`, `${f.timeout_s} s`, pairs(f.labels),
      moment(f.updated_at)],
  }))) : empty("None is registered: novactl register, or POST /api/v1/functions."));
}

by("more-functions").addEventListener("click", () => act(async () => {
  const page = await ask("GET", "functions", { query: { limit: 100, cursor: nextFunctions } });
  functions = functions.concat(page.functions);
  nextFunctions = page.next_cursor;
  showFunctions();
}));

async function choose(name) {
  chosen = name;
  await act(async () => {
    const at = `functions/${encodeURIComponent(name)}`;
    const [f, versions, aliases] = await Promise.all([ask("GET", at),
      ask("GET", `${at}/versions`), ask("GET", `${at}/aliases`)]);
    if (chosen === name) // and not another meanwhile
      showFunction(f, versions.versions, aliases.aliases);
  });
}

function showFunction(f, versions, aliases) {
  const event = el("textarea", { id: "event", rows: 4, spellcheck: "false" }, "{}");
  const answer = el("pre", { id: "answer", tabindex: 0, "aria-label": "Its answer" });
  const state = el("span", { id: "call-state", role: "status" });
  const call = async (submitted) => {
    submitted.preventDefault();
    state.textContent = "running";
    const begun = performance.now();
    try {
      const { answer: value, text, headers } = await ask("POST",
        `functions/${encodeURIComponent(f.name)}/invoke`, { body: event.value, raw: true });
      answer.textContent = typeof value === "string" ? text : JSON.stringify(value, null, 2);
      answer.className = "";
      state.textContent = `${took(Math.round((performance.now() - begun) * 1000))}, `
        + (headers.get("X-Nova-Cold-Start") === "1" ? "cold" : "warm");
      say("");
    } catch (error) {
      answer.textContent = error.message;
      answer.className = "error";
      state.textContent = "failed";
    }
  };
  show(by("function"), el("section", { class: "panel", "aria-label": f.name },
    el("h3", {}, f.name),
    list([["Id", f.id], ["Runtime", f.runtime], ["Handler", f.handler],
      ["Code", `${f.code_hash.slice(0, 16)}… ${f.code_path}`],
      ["Network", f.network], ["Processors", f.limits?.vcpus],
      ["Kept warm", f.min_replicas], ["Calls a VM", f.concurrency],
      ["Environment", Object.keys(f.env_vars ?? {}).join(", ")],
      ["Registered", moment(f.created_at)],
      ["Versions", versions.map((v) => v.version).join(", ") || "none is published"],
      ["Aliases", aliases.map((a) => `${a.name} → ${a.version}`
        + (a.weight ? `, ${a.weight} % ${a.second}` : "")).join("; ")]]),
    el("h3", {}, "Call it"),
    el("form", { onsubmit: call },
      el("label", { for: "event" }, "Event (JSON)"), event,
      el("p", {}, el("button", {}, "Call"), " ", state), answer)));
  by("function").scrollIntoView({ block: "nearest" });
}

// --- instances ---

async function lookInstances(signal) {
  const { instances } = await ask("GET", "instances", { signal });
  const order = (instance, verb) => act(() =>
    ask("POST", `instances/${encodeURIComponent(instance.id)}/${verb}`, { body: {} }));
  const end = (instance) => {
    if (confirm(`End ${instance.name || instance.id}? What it holds in memory is lost.`))
      act(() => ask("DELETE", `instances/${encodeURIComponent(instance.id)}`));
  };
  return () => show(by("instances"), instances.length ? table("Instances", [
    { name: "Name" }, { name: "Function" }, { name: "State" }, { name: "Since" },
    { name: "Id" }, { name: "" },
  ], instances.map((i) => ({
    cells: [i.name, `${i.function}:${i.version}`, i.state, moment(i.created_us), i.id,
      el("span", { class: "actions" },
        i.state === "paused" // one id for both, so that the focus stays
          ? button("Resume", `turn-${i.id}`, () => order(i, "resume"), of("Resume", i))
          : button("Pause", `turn-${i.id}`, () => order(i, "pause"),
            { disabled: i.state !== "running", ...of("Pause", i) }),
        button("End", `end-${i.id}`, () => end(i), of("End", i)))],
  }))) : empty("None is running."));
}

// --- snapshots: a tree, by what they were taken of ---

async function lookSnapshots(signal) {
  const { snapshots } = await ask("GET", "snapshots", { signal });
  const known = new Set(snapshots.map((s) => s.id));
  const children = Map.groupBy?.(snapshots, (s) => s.parent) ?? snapshots.reduce(
    (map, s) => map.set(s.parent, [...(map.get(s.parent) ?? []), s]), new Map());
  const roots = snapshots.filter((s) => !known.has(s.parent));
  const restore = (s) => {
    const name = s.function || prompt("Of which function is it?");
    if (name)
      act(() => ask("POST", `snapshots/${encodeURIComponent(s.id)}/restore`,
        { body: s.function ? {} : { function: name } }));
  };
  const remove = (s) => {
    if (confirm(`Delete ${s.name || s.id}?`))
      act(() => ask("DELETE", `snapshots/${encodeURIComponent(s.id)}`));
  };
  const branch = (all) => all.map((s) => el("li", {},
    el("strong", {}, s.name || s.id),
    el("span", { class: "about" }, [s.function, moment(s.created_us),
      s.disk_bytes && bytes(s.disk_bytes), s.name && s.id].filter(Boolean).join(" · ")),
    button("Start", `start-${s.id}`, () => restore(s), of("Start", s)), " ",
    button("Delete", `delete-${s.id}`, () => remove(s), of("Delete", s)),
    children.has(s.id) && el("ul", {}, branch(children.get(s.id)))));
  return () => show(by("snapshots"), roots.length ? el("ul", { class: "tree" }, branch(roots))
    : empty("There is none."));
}

// --- calls ---

let chosenCall = null;

const kindOf = (call) => (call.code ? "failed" : call.cold ? "cold" : "warm");

function bar(call, longest) {
  const svg = document.createElementNS(SVG, "svg"), rect = document.createElementNS(SVG, "rect");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${took(call.duration_us)}, ${kindOf(call)}`);
  rect.setAttribute("class", kindOf(call));
  rect.setAttribute("width", `${Math.max(0.5, 100 * call.duration_us / longest)}%`);
  rect.setAttribute("height", "100%");
  svg.append(rect);
  return svg;
}

async function lookCalls(signal) {
  const { invocations: calls } = await ask("GET", "logs", { signal, query: { limit: CALLS } });
  const longest = Math.max(1, ...calls.map((call) => call.duration_us));
  return () => show(by("calls"), calls.length ? table("Recent calls", [
    { name: "At" }, { name: "Function" }, { name: "Took", class: "number" },
    { name: "", class: "bar" }, { name: "Way" }, { name: "Outcome" },
  ], calls.map((call) => ({
    current: call.number === chosenCall,
    cells: [button(time(call.started_us), `call-${call.number}`, () => showCall(call),
      { class: "link" }),
    call.function ? `${call.function}:${call.version}` : "(run once)", took(call.duration_us),
    bar(call, longest), call.path || (call.cold ? "cold" : "warm"),
    call.code ? el("span", { class: "error" }, call.code) : "ok"],
  }))) : empty("None is in the log."));
}

function showCall(call) {
  chosenCall = call.number;
  const printed = (name, text) => text && [el("h3", {}, name),
    el("pre", { tabindex: 0, "aria-label": name }, text)];
  show(by("call"), el("section", { class: "panel", "aria-label": "A call" },
    el("h3", {}, call.function || "Code that was run once"),
    list([["Request", call.request_id], ["Began", moment(call.started_us)],
      ["Took", took(call.duration_us)], ["Runtime", call.runtime],
      ["Instance", call.instance], ["Input", bytes(call.input_size)],
      ["Output", bytes(call.output_size)],
      ["Memory", call.memory_peak ? bytes(call.memory_peak) : ""],
      ["Error", call.error && el("span", { class: "error" }, call.error)]]),
    printed("stdout", call.stdout), printed("stderr", call.stderr),
    call.cut && empty("What it printed was cut.")));
  by("call").scrollIntoView({ block: "nearest" });
  look();
}

// --- the log: what calls print, as they end ---

let held = false, last = null;

function addCall(call) {
  const from = `${time(call.started_us)} ${call.function || "(run once)"} `
    + `${call.request_id.slice(0, 8)} `;
  const told = call.stderr.includes(call.error); // as an exception is
  const lines = [["", call.stdout], ["stderr", call.stderr], ["error", told ? "" : call.error]]
    .filter(([, text]) => text)
    .flatMap(([kind, text]) => text.replace(/\n$/, "").split("\n").map((line) => [kind, line]));
  if (!lines.length)
    lines.push(["", sum(call.output_size, "byte", "bytes") + ` in ${took(call.duration_us)}`]);
  const place = by("log");
  const follows = place.scrollTop + place.clientHeight > place.scrollHeight - 40;
  for (const [kind, line] of lines)
    place.append(el("div", { class: kind }, el("span", { class: "from" }, from), line));
  while (place.childElementCount > LOG_LINES)
    place.firstChild.remove();
  if (follows)
    place.scrollTop = place.scrollHeight;
}

// Without a place to go on from: the end of what there is.
async function beginLog(signal) {
  const { invocations } = await ask("GET", "logs",
    { signal, query: { limit: 20, function: by("only").value.trim() } });
  by("log").replaceChildren();
  invocations.reverse().forEach(addCall);
  return invocations.at(-1)?.number ?? 0;
}

async function lookLog(signal) {
  if (held)
    return null;
  if (last === null) {
    last = await beginLog(signal);
    return null;
  }
  const page = await ask("GET", "logs", {
    signal,
    query: { order: "oldest", cursor: last, wait_ms: WAIT_MS, function: by("only").value.trim() },
  });
  return () => {
    page.invocations.forEach(addCall);
    last = page.next_cursor ?? last;
  };
}

by("hold").addEventListener("click", () => {
  held = !held;
  by("hold").setAttribute("aria-pressed", held);
  by("hold").textContent = held ? "Go on" : "Hold";
  look();
});
by("clear").addEventListener("click", () => by("log").replaceChildren());
by("only").addEventListener("change", () => {
  last = null;
  look();
});

// --- code that is run once, as a stream ---

let socket = null;

function printOut(event) {
  const text = event.encoding === "base64"
    ? new TextDecoder().decode(Uint8Array.from(atob(event.data), (c) => c.charCodeAt(0)))
    : event.data;
  by("output").append(el("span", { class: event.stream === "stderr" ? "stderr" : "" }, text));
  by("output").scrollTop = by("output").scrollHeight;
}

function finish(text) {
  by("run-state").textContent = text;
  by("run").disabled = false;
  by("stop").disabled = true;
  socket = null;
}

function heard(event) {
  if (event.event === "output")
    printOut(event);
  else if (event.event === "gap")
    printOut({ stream: "stderr",
      data: `[${sum(event.missing, "event is", "events are")} lost]\n` });
  else if (event.event === "complete")
    finish(`${event.error ?? `exit code ${event.exitCode}`}, `
      + took(Math.round(event.duration_ms * 1000)));
  else if (event.event === "error")
    finish(event.error ?? event.code);
}

function run() {
  if (socket)
    return;
  const url = new URL(`${API}execute/stream`, document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  by("output").replaceChildren();
  by("run").disabled = true;
  by("stop").disabled = false;
  by("run-state").textContent = "running";
  socket = new WebSocket(url, key ? ["nova.v1", `nova.key.${key}`] : ["nova.v1"]);
  const mine = socket;
  mine.addEventListener("open", () => mine.send(JSON.stringify(
    { code: by("code").value, language: by("language").value })));
  mine.addEventListener("message", (message) => mine === socket && heard(JSON.parse(message.data)));
  mine.addEventListener("close", () => {
    if (mine === socket) // a handshake that is refused does not tell a page why
      finish("novad closed the stream; is the key right?");
  });
}

by("code-form").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  run();
});
by("code").addEventListener("keydown", (pressed) => {
  if (pressed.key === "Enter" && (pressed.ctrlKey || pressed.metaKey)) {
    pressed.preventDefault();
    run();
  }
});
by("stop").addEventListener("click", () => {
  if (socket?.readyState === WebSocket.OPEN)
    socket.send(JSON.stringify({ event: "stop" }));
  else
    socket?.close(); // it has not begun
});

// --- which view ---

const views = {
  run: null, functions: lookFunctions, instances: lookInstances, snapshots: lookSnapshots,
  calls: lookCalls, log: lookLog,
};
let view = "", turn = null, timer = 0;

// Looks again after a while, as long as the page is seen. What a look brings is shown unless there
// has been a later one.
async function look() {
  clearTimeout(timer);
  turn?.abort();
  const mine = turn = new AbortController();
  if (!views[view] || document.hidden)
    return;
  let soon = view === "log" && !held;
  try {
    const shows = await views[view](mine.signal);
    if (mine !== turn)
      return;
    shows?.();
    if (!refused)
      say("");
  } catch (error) {
    if (mine !== turn)
      return;
    complain(error);
    refused = false;
    soon = false;
  }
  timer = setTimeout(look, soon ? 0 : LOOK_MS);
}

function go() {
  const wanted = location.hash.slice(1);
  refused = false;
  say("");
  view = wanted in views ? wanted : "functions";
  for (const name of Object.keys(views))
    by(`view-${name}`).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${view}`)
      link.setAttribute("aria-current", "page");
    else
      link.removeAttribute("aria-current");
  }
  last = null;
  look();
}

function useKey(text) {
  session.abort();
  session = new AbortController();
  key = text;
  if (text)
    sessionStorage.setItem("key", text);
  else
    sessionStorage.removeItem("key");
  by("key").value = "";
  by("key").placeholder = text ? "in use" : "";
  say("");
  go();
}

by("access").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  useKey(by("key").value.trim());
});
by("forget").addEventListener("click", () => {
  useKey("");
  for (const place of ["functions", "function", "instances", "snapshots", "calls", "call", "log",
    "output"])
    by(place).replaceChildren();
});
window.addEventListener("hashchange", go);
document.addEventListener("visibilitychange", look);
useKey(key);
