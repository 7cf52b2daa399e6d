// The data, the state, and what the filters let through. The state is in the address of the page and
// nowhere else: whatever changes it goes through `go`, and the page is drawn anew.

const data = JSON.parse(document.getElementById("data").textContent);
const { outcomes, features, scenarios, executions } = data;

const byId = (id) => document.getElementById(id);

/** Makes an element. Attributes that are false or null are left out; strings become text. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

/** Whether something is wrong, and not only not known because the run ended too early. */
const isBad = (outcome) => !outcome.green && !outcome.cut;

const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;

/** A text without what colours it on a terminal. */
const plain = (text) => text.replaceAll(/\u001b\[[0-9;]*m/g, "");

/** A time in microseconds, in words. */
function duration(micros) {
  if (micros == null) return "";
  if (micros < 999_500) return `${(micros / 1000).toFixed(micros < 9_995 ? 2 : micros < 99_950 ? 1 : 0)} ms`;
  return `${(micros / 1e6).toFixed(micros < 99_950_000 ? 2 : 1)} s`;
}

/** What has a button: an execution with all its repetitions. */
const entries = data.entries.map(({ worst, all }, index) => {
  const execution = executions[worst];
  const scenario = scenarios[execution.scenario];
  return {
    index,
    worst,
    all,
    execution,
    scenario,
    outcome: outcomes[execution.outcome],
    platforms: new Set(execution.roles.map(([, platform]) => platform)),
    isAlone: execution.roles.length === 1,
    key: `${scenario.id}/${execution.combination}`,
  };
});
const entryOf = new Map(entries.map((entry) => [entry.key, entry]));

const rolesInWords = (execution) => execution.roles.map((pair) => pair.join(" ")).join(", ");

/** Everything that the text filter looks at. */
function words(entry) {
  if (entry.words === undefined) {
    const { scenario, execution } = entry;
    const parts = [scenario.id, scenario.name, execution.combination, rolesInWords(execution)];
    parts.push(scenario.file, entry.outcome.words, ...scenario.tags.map((tag) => `@${tag}`));
    parts.push(...scenario.steps.map((step) => step.text));
    parts.push(...entry.all.map((index) => executions[index].reason ?? ""));
    entry.words = parts.join("\n").toLowerCase();
  }
  return entry.words;
}

// ---- the state

const START = { view: "grid", platform: "", feature: "", outcome: "", text: "", run: "" };
let state = { ...START };

function readAddress() {
  const read = { ...START };
  for (const part of location.hash.slice(1).split("&")) {
    const at = part.indexOf("=");
    const name = part.slice(0, Math.max(at, 0));
    if (!Object.hasOwn(START, name)) continue;
    try {
      read[name] = decodeURIComponent(part.slice(at + 1));
    } catch {
      // Not something that this page has written: as if it were not there.
    }
  }
  return read;
}

function address(of) {
  const changed = Object.keys(START).filter((name) => of[name] !== START[name]);
  const encoded = (text) => encodeURIComponent(text).replaceAll("%2F", "/").replaceAll("%2C", ",");
  return "#" + changed.map((name) => `${name}=${encoded(of[name])}`).join("&");
}

/** Changes the state. Opening and closing details can be undone with the browser's Back. */
function go(changes) {
  const next = { ...state, ...changes };
  const target = address(next);
  if (target === address(state)) return;
  const isPlace = next.run !== state.run || next.view !== state.view;
  history[isPlace ? "pushState" : "replaceState"](null, "", target);
  state = next;
  draw();
}

/** The execution whose details are open, with its entry. */
function opened() {
  const [id, combination, repetition] = state.run.split("/");
  const entry = entryOf.get(`${id}/${combination}`);
  if (!entry) return null;
  const asked = entry.all.find((index) => executions[index].repetition === Number(repetition));
  return { entry, execution: executions[asked ?? entry.worst] };
}

// ---- filters

let chosen = new Set();
let terms = [];

const FILTERS = {
  platform: (entry) => !state.platform || entry.platforms.has(state.platform),
  feature: (entry) => !state.feature || features[entry.scenario.feature].id === state.feature,
  outcome: (entry) => !chosen.size || chosen.has(entry.outcome.name),
  text: (entry) => terms.every((term) => words(entry).includes(term)),
};

/** How many entries each choice would show, and whether each entry is shown. */
function filtered() {
  chosen = new Set(state.outcome.split(",").filter(Boolean));
  terms = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = new Array(entries.length).fill(false);
  const counts = { platform: new Map(), feature: new Map(), outcome: new Map() };
  const add = (map, key) => map.set(key, (map.get(key) ?? 0) + 1);
  for (const entry of entries) {
    const failed = Object.keys(FILTERS).filter((name) => !FILTERS[name](entry));
    shown[entry.index] = failed.length === 0;
    if (failed.length > 1) continue;
    const only = (name) => failed.length === 0 || failed[0] === name;
    if (only("platform")) for (const platform of entry.platforms) add(counts.platform, platform);
    if (only("feature")) add(counts.feature, features[entry.scenario.feature].id);
    if (only("outcome")) add(counts.outcome, entry.outcome.name);
  }
  return { shown, counts, total: shown.filter(Boolean).length };
}

