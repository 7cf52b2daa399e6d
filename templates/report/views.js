// The two views: first platform × second platform, and scenario × combination. Each is built once,
// when it is looked at for the first time; filters only hide parts of it.

/** The button of an entry. */
function button(entry) {
  const { scenario, execution, outcome } = entry;
  const label = `${scenario.id} ${scenario.name}, ${rolesInWords(execution)}: ${outcome.words}`;
  const passed = entry.all.filter((index) => outcomes[executions[index].outcome].name === "passed");
  const several = entry.all.length > 1 ? `, ${passed.length} of ${entry.all.length} passed` : "";
  return make("button", {
    type: "button",
    class: `mark o-${outcome.name}`,
    "data-entry": entry.index,
    "aria-label": label + several,
    title: label + several,
    tabindex: -1,
  }, outcome.symbol);
}

const unique = (values) => [...new Set(values)];

/** How many entries of each outcome are shown, in short. */
function tally(shownEntries) {
  const numbers = new Map();
  for (const { outcome } of shownEntries) numbers.set(outcome, (numbers.get(outcome) ?? 0) + 1);
  const parts = outcomes.filter((outcome) => numbers.has(outcome)).map((outcome) =>
    make("span", { class: `t-${isBad(outcome) ? "bad" : outcome.name}`, title: outcome.words },
      `${outcome.symbol} ${numbers.get(outcome)}`));
  return parts;
}

/** Platforms in the order of the configuration. */
function sorted(platforms) {
  const rank = (name) => data.platforms.indexOf(name);
  return unique(platforms).sort((a, b) => rank(a) - rank(b));
}

const ALONE = "";
const second = (entry) => (entry.isAlone ? ALONE : entry.execution.roles[1][1]);

function buildGrid() {
  const first = (entry) => entry.execution.roles[0][1];
  const rows = sorted(entries.map(first));
  const together = entries.filter((entry) => !entry.isAlone);
  const columns = sorted(together.map(second));
  if (together.length < entries.length) columns.push(ALONE);
  const roleNames = (at) => unique(together.map((entry) => entry.execution.roles[at][0])).sort().join(", ");

  const head = make("tr");
  const corner = together.length
    ? [make("span", {}, `${roleNames(0)} ↓`), make("span", {}, `${roleNames(1)} →`)]
    : [make("span", {}, "platform ↓")];
  head.append(make("th", { class: "corner" }, corner));
  for (const name of columns) head.append(make("th", { scope: "col" }, name === ALONE ? "alone" : name));
  const body = make("tbody");
  const cells = [];
  for (const row of rows) {
    const line = make("tr", {}, make("th", { scope: "row" }, row));
    for (const column of columns) {
      const own = entries.filter((entry) => first(entry) === row && second(entry) === column);
      const cell = gridCell(row, column, own);
      cells.push(cell);
      line.append(cell.element);
    }
    body.append(line);
  }
  const table = make("table", { class: "grid" }, make("caption", { class: "unseen" },
    "Outcomes by the platforms of the first and the second role"), make("thead", {}, head), body);
  byId("grid").append(table);
  return { table, columns, rows: [...body.rows], cells, update: updateGrid };
}

function gridCell(row, column, own) {
  const title = column === ALONE ? `${row} alone` : `${row} with ${column}`;
  const numbers = make("p", { class: "tally" });
  const marks = make("div", { class: "marks roving", role: "group", "aria-label": title });
  const groups = [];
  for (const feature of unique(own.map((entry) => entry.scenario.feature))) {
    const ofFeature = own.filter((entry) => entry.scenario.feature === feature);
    const { id, name } = features[feature];
    const element = make("span", { class: "feature" }, make("i", { title: `${id} ${name}` }, id),
      make("span", { class: "run" }, ofFeature.map(button)));
    groups.push({ element, entries: ofFeature });
    marks.append(element);
  }
  const name = make("p", { class: "pair", "aria-hidden": "true" }, title);
  const element = make("td", { class: own.length ? false : "empty" }, name, numbers, marks);
  return { element, own, numbers, marks, groups, column };
}

function updateGrid(view, shown) {
  const isShown = (entry) => shown[entry.index];
  const used = new Set();
  for (const cell of view.cells) {
    const left = cell.own.filter(isShown);
    if (left.length) used.add(cell.column);
    cell.numbers.replaceChildren(...tally(left));
    cell.element.classList.toggle("empty", !left.length);
    for (const group of cell.groups) group.element.hidden = !group.entries.some(isShown);
  }
  for (const row of view.rows) {
    const own = view.cells.filter((cell) => cell.element.parentElement === row);
    row.hidden = !own.some((cell) => cell.own.some(isShown));
  }
  hideColumns(view, used);
}

function buildMatrix() {
  const columns = unique(entries.map((entry) => entry.execution.combination));
  const cellOf = new Map(entries.map((entry) => [entry.key, entry]));
  const head = make("tr", {}, make("th", { class: "corner", scope: "col" }, "scenario"));
  for (const name of columns) {
    const roles = entries.find((entry) => entry.execution.combination === name).execution.roles;
    const lines = roles.map(([, platform]) => make("span", {}, platform));
    head.append(make("th", { scope: "col", title: name }, lines));
  }
  const body = make("tbody", { class: "roving" });
  const rows = [];
  let feature = -1;
  for (const scenario of scenarios) {
    if (scenario.feature !== feature) {
      feature = scenario.feature;
      const { id, name } = features[feature];
      const text = make("th", { colspan: columns.length + 1, scope: "rowgroup" }, make("span", {}, `${id} ${name}`));
      const element = make("tr", { class: "feature" }, text);
      rows.push({ element, own: entries.filter((entry) => entry.scenario.feature === feature), cells: [] });
      body.append(element);
    }
    const element = make("tr", {}, make("th", { scope: "row", title: scenario.name },
      make("b", {}, scenario.id), " ", make("span", {}, scenario.name)));
    const cells = columns.map((column) => {
      const entry = cellOf.get(`${scenario.id}/${column}`);
      const cell = make("td", {}, entry ? button(entry) : null);
      element.append(cell);
      return { element: cell, column };
    });
    rows.push({ element, own: entries.filter((entry) => entry.scenario === scenario), cells });
    body.append(element);
  }
  const table = make("table", { class: "matrix" }, make("caption", { class: "unseen" },
    "Outcomes by scenario and combination of platforms"), make("thead", {}, head), body);
  byId("matrix").append(make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Matrix" }, table));
  const cells = rows.flatMap((row) => row.cells);
  return { table, columns, rows, cells, update: updateMatrix };
}

function updateMatrix(view, shown) {
  const used = new Set(entries.filter((entry) => shown[entry.index]).map((entry) => entry.execution.combination));
  for (const row of view.rows) row.element.hidden = !row.own.some((entry) => shown[entry.index]);
  hideColumns(view, used);
}

function hideColumns(view, used) {
  const heads = view.table.tHead.rows[0].cells;
  view.columns.forEach((column, at) => { heads[at + 1].hidden = !used.has(column); });
  for (const cell of view.cells) cell.element.hidden = !used.has(cell.column);
}

const views = { grid: null, matrix: null };
const builders = { grid: buildGrid, matrix: buildMatrix };

/** Shows the chosen view with what the filters let through. */
function drawView(shown) {
  const name = Object.hasOwn(builders, state.view) ? state.view : START.view;
  for (const other of Object.keys(builders)) byId(other).hidden = other !== name;
  if (!views[name]) {
    views[name] = builders[name]();
    views[name].buttons = [...byId(name).querySelectorAll("[data-entry]")];
  }
  const view = views[name];
  for (const one of view.buttons) one.hidden = !shown[one.dataset.entry];
  view.update(view, shown);
  const open = opened();
  for (const one of byId(name).querySelectorAll("[aria-current]")) one.removeAttribute("aria-current");
  if (open) buttonOf(open.entry)?.setAttribute("aria-current", "true");
  for (const group of byId(name).querySelectorAll(".roving")) settle(group);
}

/** The button of an entry in the view that is shown. */
function buttonOf(entry) {
  const view = Object.keys(builders).find((name) => !byId(name).hidden);
  return byId(view).querySelector(`[data-entry="${entry.index}"]:not([hidden])`);
}

// ---- the keyboard: Tab goes from group to group, arrows within one

const visible = (group) => [...group.querySelectorAll("[data-entry]:not([hidden])")];

/** Lets Tab reach exactly one button of the group. */
function settle(group, wanted) {
  const current = group.querySelector('[data-entry][tabindex="0"]');
  const target = wanted ?? (current && !current.hidden ? current : group.querySelector("[data-entry]:not([hidden])"));
  if (current !== target) {
    current?.setAttribute("tabindex", "-1");
    target?.setAttribute("tabindex", "0");
  }
}

function moveFocus(event) {
  const from = event.target.closest("[data-entry]");
  const group = from?.closest(".roving");
  if (!group) return;
  const all = visible(group);
  const at = all.indexOf(from);
  const to = {
    ArrowRight: () => all[at + 1],
    ArrowLeft: () => all[at - 1],
    Home: () => all[0],
    End: () => all.at(-1),
    ArrowDown: () => nearest(from, all, 1),
    ArrowUp: () => nearest(from, all, -1),
  }[event.key];
  if (!to) return;
  event.preventDefault();
  const target = to();
  if (!target) return;
  settle(group, target);
  target.focus();
}

/** The button that is nearest in the next line above or below. */
function nearest(from, all, direction) {
  const here = from.getBoundingClientRect();
  let best = null;
  for (const one of all) {
    const there = one.getBoundingClientRect();
    const down = (there.top - here.top) * direction;
    if (down < here.height / 2) continue;
    const cost = down * 10_000 + Math.abs(there.left - here.left);
    if (!best || cost < best.cost) best = { one, cost };
  }
  return best?.one;
}

