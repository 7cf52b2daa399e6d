// Everything about one execution, in a panel. It is made when it is opened.

function section(title, ...content) {
  return make("section", {}, make("h3", {}, title), content);
}

function list(title, texts, className) {
  return texts?.length ? section(title, make("ul", { class: className }, texts.map((text) => make("li", {}, text)))) : null;
}

function panelHead(entry, execution) {
  const outcome = outcomes[execution.outcome];
  const { scenario } = entry;
  const disabled = failing().length === 0;
  return make("header", {},
    make("div", { class: "tools" },
      make("button", { type: "button", "data-failure": -1, disabled, "aria-keyshortcuts": "p", title: "Previous failure (p)" }, "← failure"),
      make("button", { type: "button", "data-failure": 1, disabled, "aria-keyshortcuts": "n", title: "Next failure (n)" }, "failure →"),
      make("button", { type: "button", id: "close", class: "close", "aria-keyshortcuts": "Escape", title: "Close (Esc)" }, "Close")),
    make("h2", { tabindex: -1 },
      make("span", { class: `mark o-${outcome.name}`, "aria-hidden": "true" }, outcome.symbol),
      make("span", { class: "unseen" }, `${outcome.words}: `),
      make("span", {}, `${scenario.id} ${scenario.name}`)),
    make("p", { class: "facts" },
      make("b", { class: `word ${isBad(outcome) ? "bad" : ""}` }, outcome.words),
      make("span", { class: "roles" }, execution.roles.map(([role, platform]) =>
        make("span", {}, make("i", {}, role), " ", make("b", {}, platform), " "))),
      make("span", {}, duration(execution.took)),
      make("span", { class: "muted" }, `${scenario.file}:${scenario.line}`)));
}

function repetitions(entry, execution) {
  if (entry.all.length < 2) return null;
  const links = entry.all.map((index) => {
    const other = executions[index];
    const outcome = outcomes[other.outcome];
    const current = other === execution ? "true" : null;
    const name = `repetition ${other.repetition}: ${outcome.words}, ${duration(other.took)}`;
    const target = address({ ...START, run: `${entry.key}/${other.repetition}` });
    return make("a", { class: `mark o-${outcome.name}`, href: target, title: name, "aria-label": name, "aria-current": current }, outcome.symbol);
  });
  return section(`Repetition ${execution.repetition} of ${entry.all.length}`, make("p", { class: "repetitions" }, links));
}

/** What was seen beside the steps. */
function besides(execution) {
  return [list("Warnings", execution.warnings, "warnings"),
    list("Left behind as known, and removed", execution.leftovers, "plain")];
}

/** What became of the attempts before the last one, the latest first. */
function earlier(execution, scenario) {
  if (!execution.earlier?.length) return null;
  const attempts = execution.earlier.map((attempt, index) => {
    const outcome = outcomes[attempt.outcome];
    const inStep = attempt.failed != null && (attempt.steps ?? []).length > 0 && hasReason(attempt);
    return make("details", { class: "attempt" },
      make("summary", {}, `Attempt ${index + 1}: ${outcome.words}, ${duration(attempt.took)}`),
      attempt.reason != null && !inStep && errorText(attempt.reason),
      stepList(attempt, scenario),
      besides(attempt),
      processList(attempt),
      attachments(attempt, scenario),
      logs(attempt, false),
      tails(attempt));
  });
  return section(`Tried ${execution.earlier.length + 1} times`, attempts.reverse());
}

function tails(execution) {
  if (!execution.tails?.length) return null;
  const blocks = execution.tails.map(([name, lines]) => make("div", {},
    make("h4", {}, name), lines.length ? make("pre", {}, plain(lines.join("\n"))) : make("p", { class: "muted" }, "nothing")));
  return section("Last lines of standard error", blocks);
}

function attachments(execution, scenario) {
  if (!execution.attachments?.length) return null;
  const blocks = execution.attachments.map(([step, text]) => make("div", {},
    make("h4", {}, `${scenario.steps[step]?.kind ?? ""} ${scenario.steps[step]?.text ?? ""}`), make("pre", {}, plain(text))));
  return section("What steps found out", blocks);
}

function panel(entry, execution) {
  const { scenario } = entry;
  const isPassed = outcomes[execution.outcome].name === "passed";
  // Where a step is to blame, its error stands with it.
  const atStep = execution.failed != null && (execution.steps ?? []).length > 0;
  const line = timeline(execution, scenario);
  return [
    panelHead(entry, execution),
    execution.reason != null && !atStep && section("Why", errorText(execution.reason)),
    section("Run it again", make("div", { class: "again" }, make("code", { id: "again" }, execution.again),
      make("button", { type: "button", id: "copy" }, "Copy"))),
    repetitions(entry, execution),
    section("Steps", stepList(execution, scenario)),
    atStep && execution.reason != null && !hasReason(execution) && section("Why", errorText(execution.reason)),
    besides(execution),
    earlier(execution, scenario),
    line && section("Time line", line, processList(execution)),
    attachments(execution, scenario),
    section("Logs", logs(execution, isPassed)),
    tails(execution),
    scenario.tags.length > 0 && section("Tags", make("p", { class: "tags" }, scenario.tags.map((tag) => make("span", {}, `@${tag} `)))),
  ].flat().filter(Boolean);
}

/** Whether the reason is what the failed step says. */
function hasReason(execution) {
  const step = (execution.steps ?? []).find((one) => one.ok === false);
  return !step || step.error == null || step.error === execution.reason;
}

let drawn = null;
let cameFrom = null;

/** Opens, changes or closes the panel as the state says. */
function drawDetails() {
  const aside = byId("details");
  const open = opened();
  const isUnknown = state.run !== "" && !open;
  if (open?.execution === drawn && !isUnknown) return;
  const wasOpen = !aside.hidden;
  drawn = open?.execution ?? null;
  document.body.classList.toggle("has-details", Boolean(open) || isUnknown);
  aside.hidden = !open && !isUnknown;
  if (!wasOpen && !aside.hidden) cameFrom = document.activeElement;
  if (isUnknown) {
    aside.replaceChildren(make("header", {}, make("div", { class: "tools" },
      make("button", { type: "button", id: "close", class: "close" }, "Close")),
      make("h2", { tabindex: -1 }, "There is no such execution in this run"),
      make("p", {}, state.run)));
  } else if (open) {
    aside.replaceChildren(...panel(open.entry, open.execution));
  }
  if (!aside.hidden) {
    aside.scrollTop = 0;
    aside.querySelector("h2").focus({ preventScroll: true });
  } else if (wasOpen) {
    aside.replaceChildren();
    const back = cameFrom?.isConnected && cameFrom !== document.body ? cameFrom : null;
    (back ?? byId("results")).focus({ preventScroll: true });
  }
}

/** The entries that are shown and in which something is wrong. */
function failing() {
  const { shown } = filtered();
  return entries.filter((entry) => shown[entry.index] && isBad(entry.outcome));
}

/** Opens the next failure after the open one, or the one before it; from the last to the first. */
function goToFailure(direction) {
  const failures = failing();
  if (!failures.length) {
    byId("told").textContent = "There is no failure among what is shown.";
    return;
  }
  const here = opened()?.entry.index ?? (direction > 0 ? -1 : Infinity);
  const after = failures.find((entry) => entry.index > here) ?? failures[0];
  const before = failures.findLast((entry) => entry.index < here) ?? failures.at(-1);
  go({ run: (direction > 0 ? after : before).key });
}

async function copyCommand() {
  const text = byId("again").textContent;
  try {
    await navigator.clipboard.writeText(text);
    byId("copy").textContent = "Copied";
    byId("told").textContent = "Copied.";
  } catch {
    // The browser does not let pages copy: the user can, at least with one key.
    getSelection().selectAllChildren(byId("again"));
    byId("copy").textContent = "Selected";
    byId("told").textContent = "The command is selected; copy it with the keyboard.";
  }
}

