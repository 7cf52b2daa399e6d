// The parts of an execution's details: steps, time line, logs.

const indexOfProcess = (execution, number) => (execution.processes ?? []).findIndex((one) => one.number === number);

/** The process id in words; one at a url has none here. */
const pid = (process) => (process.pid == null ? "" : `, pid ${process.pid}`);

/** A process in words, in the colour of its lane. */
function who(execution, number) {
  const at = indexOfProcess(execution, number);
  const process = (execution.processes ?? [])[at];
  if (!process) return make("span", {}, `process ${number}`);
  const title = `${process.name} on ${process.platform}${pid(process)}`;
  return make("span", { class: `who lane-${at % 6}`, title }, process.name);
}

/** The text of a step with its table and its doc string. */
function stepText(step) {
  const rows = step.table?.map((row) => make("tr", {}, row.map((cell) => make("td", {}, cell))));
  return [
    make("span", { class: "keyword" }, step.kind), " ", step.text,
    rows && make("table", { class: "data" }, rows),
    step.doc_string != null && make("pre", {}, step.doc_string),
  ];
}

function stepList(execution, scenario) {
  const begun = new Map((execution.steps ?? []).map((step) => [step.i, step]));
  const longest = Math.max(1, ...(execution.steps ?? []).map((step) => step.took ?? 0));
  const ran = begun.size > 0;
  const items = scenario.steps.map((planned, index) => {
    const step = begun.get(index);
    const failed = step?.ok === false || (planned.line === execution.failed && step?.ok !== true);
    const state = failed ? "failed" : !step ? "not reached" : step.ok ? "done" : "not ended";
    const to = step?.sent?.length
      ? step.sent.map(([number]) => [who(execution, number), " "]).flat()
      : [make("span", { class: "muted" }, planned.to)];
    const width = `${Math.max(1, (100 * (step?.took ?? 0)) / longest)}%`;
    const took = step?.took == null ? state : duration(step.took);
    const bar = make("span", { class: "length" });
    bar.style.width = width;
    const error = failed && (step?.error ?? execution.reason);
    return make("li", { class: `step ${state.replace(" ", "-")}`, "data-step": index },
      make("span", { class: "number", title: `line ${planned.line}` }, String(planned.line)),
      make("div", { class: "words" }, stepText(planned), error && errorText(error)),
      make("span", { class: "to" }, to),
      make("span", { class: "took" }, ran ? took : "", step?.took != null && bar),
    );
  });
  return make("ol", { class: "steps" }, items);
}

/** An error in full, and what was expected beside what was found where it says so. */
function errorText(error) {
  const text = plain(error);
  const pattern = /\bexpected:?\s+(.+?)(?:,|;|\n)\s*(?:but\s+)?(?:found|got|was):?\s+(.+)$/is;
  const [, expected, found] = pattern.exec(text) ?? [];
  return make("div", { class: "error" }, make("pre", {}, text), found && make("dl", { class: "compared" },
    make("dt", {}, "expected"), make("dd", {}, expected.trim()),
    make("dt", {}, "got"), make("dd", {}, found.trim())));
}

// ---- time line

function timeline(execution, scenario) {
  const processes = execution.processes ?? [];
  const steps = execution.steps ?? [];
  if (!processes.length && !steps.length) return null;
  const ends = steps.map((step) => step.at + (step.took ?? 0));
  const total = Math.max(execution.took, 1, ...ends, ...processes.map((one) => one.exited ?? one.ready ?? one.at));
  const place = (element, from, to) => {
    const left = Math.min(100, Math.max(0, (100 * from) / total));
    element.style.left = `${left}%`;
    element.style.width = `${Math.min(100 - left, Math.max(0, (100 * (to - from)) / total))}%`;
    return element;
  };
  const bar = (step, from, took, ok) => {
    const planned = scenario.steps[step.i];
    const state = ok === false ? "failed" : took == null ? "not-ended" : "done";
    const until = took == null ? total : from + took;
    const title = `${planned?.kind} ${planned?.text} (${took == null ? "not ended" : duration(took)})`;
    return place(make("span", { class: `part ${state}`, title, "data-goto": step.i }), from, until);
  };
  const lanes = processes.map((process, at) => {
    const end = process.exited ?? total;
    const track = make("div", { class: "track" },
      place(make("span", { class: "life" }), process.at, end),
      place(make("span", { class: "starting", title: "starting" }), process.at, process.ready ?? end));
    for (const step of steps) {
      for (const [number, from, took, ok] of step.sent ?? []) {
        if (number === process.number) track.append(bar(step, from, took, ok));
      }
    }
    return make("div", { class: `lane lane-${at % 6}` },
      make("span", { class: "name" }, make("b", {}, process.name), ` ${process.platform}`), track);
  });
  const own = steps.filter((step) => !step.sent?.length);
  if (own.length) {
    const bars = own.map((step) => bar(step, step.at, step.took, step.ok));
    lanes.push(make("div", { class: "lane" }, make("span", { class: "name" }, make("b", {}, "harmony")),
      make("div", { class: "track" }, bars)));
  }
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => make("span", {}, part ? duration(total * part) : "0"));
  const axis = make("div", { class: "lane axis" }, make("span", { class: "name" }), make("div", { class: "ticks" }, ticks));
  return make("div", { class: "timeline", "aria-hidden": "true" }, lanes, axis);
}

function processList(execution) {
  const items = (execution.processes ?? []).map((process) => make("li", {},
    who(execution, process.number), ` ${process.platform}${pid(process)}`,
    process.ready != null ? `, ready after ${duration(process.ready - process.at)}` : ", never ready",
    process.how ? `, ${process.how}` : ", end not known",
    process.left_behind ? `, left ${count(process.left_behind, "process", "processes")} behind` : null));
  return make("ul", { class: "processes" }, items);
}

// ---- logs

const LEVELS = ["trace", "debug", "info", "warning", "error", "critical"];

function logs(execution, isPassed) {
  const lines = execution.logs ?? [];
  const notes = [];
  if (execution.left_out) {
    const why = isPassed ? ` Of an execution that passed, the last ${data.lines} lines are kept here.` : "";
    notes.push(`${count(execution.left_out, "earlier line is", "earlier lines are")} left out.${why}`);
  }
  if (execution.said_twice) {
    const repeated = count(execution.said_twice, "line of standard error repeats", "lines of standard error repeat");
    notes.push(`${repeated} what is here, and ${execution.said_twice === 1 ? "is" : "are"} left out.`);
  }
  if (execution.more) notes.push(`There was more than fits the log of the run; records that came later are in ${execution.more}.`);
  if (execution.folder) notes.push(`Everything is in ${data.run}/${execution.folder}.`);
  const note = make("p", { class: "muted note" }, notes.join(" "));
  if (!lines.length) return [make("p", { class: "muted" }, "Nothing was logged."), note];
  const items = lines.map(([at, number, level, text]) => {
    const word = level < 0 ? "stderr" : LEVELS[level] ?? String(level);
    return make("tr", { "data-process": number, class: `level-${word}` },
      make("td", { class: "when" }, (at / 1e6).toFixed(3)),
      make("td", {}, who(execution, number)),
      make("td", { class: "level" }, word),
      make("td", { class: "text" }, plain(text)));
  });
  const body = make("tbody", {}, items);
  const head = make("thead", { class: "unseen" }, make("tr", {},
    ["seconds", "process", "level", "text"].map((name) => make("th", { scope: "col" }, name))));
  const table = make("table", { class: "log" }, head, body);
  const processes = execution.processes ?? [];
  const choice = processes.length > 1 && make("div", { class: "choice", role: "group", "aria-label": "Logs of" },
    [null, ...processes.map((one) => one.number)].map((number) => make("button", {
      type: "button",
      "data-only": number ?? "",
      "aria-pressed": String(number === null),
    }, number === null ? "all" : processes[indexOfProcess(execution, number)].name)));
  const box = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Logs" }, table);
  return [choice, box, note];
}

/** Shows the logs of one process, or of all. */
function chooseLog(pressed) {
  const only = pressed.dataset.only;
  for (const other of pressed.parentElement.children) other.setAttribute("aria-pressed", String(other === pressed));
  for (const row of pressed.closest("section, .attempt").querySelectorAll(":scope > .scroll .log tbody tr")) {
    row.hidden = only !== "" && row.dataset.process !== only;
  }
}

