// Ties everything together: controls, events, and the first drawing.

function options(select, all, choices, counts, chosenValue) {
  if (select.options.length === 0) {
    select.append(make("option", { value: "" }, all));
    for (const [value] of choices) select.append(make("option", { value }));
  }
  choices.forEach(([value, text], at) => {
    select.options[at + 1].textContent = `${text} (${counts.get(value) ?? 0})`;
  });
  select.value = chosenValue;
  // Something that is not in this run.
  if (select.selectedIndex < 0) {
    select.append(make("option", { value: chosenValue }, `${chosenValue} (0)`));
    select.value = chosenValue;
  }
  select.classList.toggle("set", chosenValue !== "");
}

function drawControls({ counts, total }) {
  const platforms = sorted(entries.flatMap((entry) => [...entry.platforms]));
  options(byId("platform"), "All platforms", platforms.map((name) => [name, name]), counts.platform, state.platform);
  const named = features.map(({ id, name }) => [id, `${id} ${name}`]);
  options(byId("feature"), "All features", named, counts.feature, state.feature);
  const text = byId("text");
  if (text.value !== state.text) text.value = state.text;
  const there = new Set(entries.map((entry) => entry.outcome.name));
  const chips = outcomes.filter((outcome) => there.has(outcome.name));
  const box = byId("outcomes");
  if (!box.children.length) {
    box.append(...chips.map((outcome) => make("button", { type: "button", "data-outcome": outcome.name },
      make("span", { class: `mark o-${outcome.name}`, "aria-hidden": "true" }, outcome.symbol),
      make("span", {}, ` ${outcome.words} `), make("b", {}))));
  }
  for (const chip of box.children) {
    chip.setAttribute("aria-pressed", String(chosen.has(chip.dataset.outcome)));
    chip.querySelector("b").textContent = counts.outcome.get(chip.dataset.outcome) ?? 0;
  }
  for (const tab of document.querySelectorAll("[data-view]")) {
    tab.setAttribute("aria-pressed", String(!byId(tab.dataset.view).hidden));
  }
  const isFiltered = ["platform", "feature", "outcome", "text"].some((name) => state[name] !== "");
  byId("clear").hidden = !isFiltered;
  const times = data.repeat > 1 ? `, each ${data.repeat} times` : "";
  const all = count(entries.length, "execution", "executions") + times;
  byId("shown").textContent = isFiltered ? `${total} of ${all}` : all;
  byId("nothing").hidden = total > 0;
}

function draw() {
  const result = filtered();
  drawView(result.shown);
  drawControls(result);
  drawDetails();
}

function chooseOutcome(name) {
  const next = new Set(chosen);
  if (!next.delete(name)) next.add(name);
  go({ outcome: [...next].sort().join(",") });
}

const CLEAR = { platform: "", feature: "", outcome: "", text: "" };

document.addEventListener("click", (event) => {
  const target = event.target.closest("button, a[href^='#'], [data-goto]");
  if (!target) return;
  const set = target.dataset;
  if (target.matches(".skip")) {
    event.preventDefault();
    byId("results").focus();
  } else if (target.tagName === "A") {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go({ run: decodeURIComponent(target.hash.slice("#run=".length)) });
  } else if (set.entry) {
    settle(target.closest(".roving"), target);
    go({ run: entries[set.entry].key });
  } else if (set.view) go({ view: set.view });
  else if (set.outcome) chooseOutcome(set.outcome);
  else if (set.failure) goToFailure(Number(set.failure));
  else if (set.only !== undefined) chooseLog(target);
  // Earlier attempts have lists of steps as well.
  else if (set.goto) byId("details").querySelector(`:scope > section > .steps > [data-step="${set.goto}"]`)?.scrollIntoView({ block: "center" });
  else if (target.id === "clear") go(CLEAR);
  else if (target.id === "close") go({ run: "" });
  else if (target.id === "copy") copyCommand();
});

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input, select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && state.run) go({ run: "" });
  else if (isTyping) return;
  else if (event.key === "n") goToFailure(1);
  else if (event.key === "p") goToFailure(-1);
  else if (event.key === "/") {
    event.preventDefault();
    byId("text").focus();
  } else moveFocus(event);
});

byId("platform").addEventListener("change", (event) => go({ platform: event.target.value }));
byId("feature").addEventListener("change", (event) => go({ feature: event.target.value }));
byId("filters").addEventListener("submit", (event) => event.preventDefault());

// Typing is waited for, for a moment.
let typing = 0;
byId("text").addEventListener("input", (event) => {
  clearTimeout(typing);
  typing = setTimeout(() => go({ text: event.target.value }), 60);
});

function follow() {
  const next = readAddress();
  if (address(next) === address(state)) return;
  state = next;
  draw();
}
addEventListener("popstate", follow);
addEventListener("hashchange", follow);

state = readAddress();
draw();
// How long it took until everything was there, for whoever wants to know.
document.documentElement.dataset.ready = Math.round(performance.now());
