// The table of examples: what is shown, in which order, on which page.
// Texts of the data reach the page through text nodes only, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);
const PAGE_SIZE = matchMedia("(max-width: 720px)").matches ? 20 : 50;
const ANY = -2; // any metric; -1 is "task error", see page_data.py
const count = (n) => n.toLocaleString("en-US");
const collator = new Intl.Collator(undefined, { numeric: true });
const state = { filter: "all", metric: ANY, query: "", sort: data.compared ? "rank" : "place", down: false, page: 0 };
let shown = data.examples;

// An element with attributes and children; strings become text.
function el(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") made[name] = value;
    else if (value === true) made.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

// A text of the data: as it is, or [the beginning, its full length] where it was cut.
const textOf = (value) => (Array.isArray(value) ? value[0] : value || "");

// The beginning of a text, enough to fill a folded cell; its lines stay.
function preview(value) {
  const text = textOf(value).slice(0, 1200).replace(/[^\S\n]+/g, " ").replace(/\n\s*\n+/g, "\n").trim();
  return text.length > 600 ? `${text.slice(0, 599)}…` : text;
}

// All that can be searched for, made when it is first needed.
function haystack(example) {
  if (example.hay === undefined) {
    const texts = [example.id, textOf(example.input), textOf(example.expected)];
    for (const [, ...sides] of example.runs) {
      for (const run of sides) {
        if (!run) continue;
        texts.push(textOf(run.output), textOf(run.error), run.facts.trace || "");
        for (const [, , ...said] of run.scores) texts.push(...said.map(textOf));
      }
    }
    example.hay = texts.join("\n").toLowerCase();
  }
  return example.hay;
}

const on = (metrics) => (state.metric === ANY ? metrics.length > 0 : metrics.includes(state.metric));
const FILTERS = {
  all: ["All", () => true],
  regressed: ["Regressed", (example) => on(example.worse)],
  improved: ["Improved", (example) => on(example.better)],
  errors: ["Errors", (example) => example.error],
};
const filterNames = data.compared ? Object.keys(FILTERS) : ["all", "errors"];

function sortKey(name) {
  if (name === "id") return (a, b) => collator.compare(a.id, b.id);
  const value = name === "latency" ? (example) => (example.latency ? example.latency[0] : null)
    : name.startsWith("m") ? (example) => example.cells[Number(name.slice(1))][2]
    : (example) => example[name];
  return (a, b) => compare(value(a), value(b));
}

// What a button shows, and of how many where the page does not hold them all.
function countOf(name) {
  const here = data.examples.filter(FILTERS[name][1]).length;
  const totals = data.totals && data.totals[name];
  const every = totals ? totals[state.metric] ?? totals[ANY] : here;
  return every > here ? `${count(here)} of ${count(every)}` : count(here);
}

// What has no value comes last, whichever way it is sorted.
function compare(a, b) {
  if (a === null || b === null) return a === b ? 0 : (a === null ? 1 : -1) * (state.down ? -1 : 1);
  return a - b;
}

function select() {
  const terms = state.query.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = FILTERS[state.filter][1];
  const order = sortKey(state.sort);
  shown = data.examples.filter((example) => matches(example) && terms.every((term) => haystack(example).includes(term)));
  shown.sort((a, b) => (state.down ? -order(a, b) : order(a, b)) || a.place - b.place);
  state.page = Math.min(state.page, Math.max(0, Math.ceil(shown.length / PAGE_SIZE) - 1));
}

// The scores are one column, however many there are: the texts keep their room beside them.
function columns() {
  const outputs = data.twoSides ? ["Baseline's output", "Candidate's output"] : ["Output"];
  return [{ key: "id", title: "Example" }, ...["Input", "Expected", ...outputs, "Scores"].map((title) => ({ title }))];
}

function drawHead() {
  const row = el("tr");
  for (const column of columns()) {
    const sorted = column.key && column.key === state.sort;
    const label = column.key
      ? el("button", { type: "button", class: "sort", onclick: () => sortBy(column.key) }, column.title,
        el("span", { "aria-hidden": "true", class: "arrow" }, sorted ? (state.down ? " ▼" : " ▲") : ""))
      : column.title;
    row.append(el("th", { scope: "col", "aria-sort": sorted ? (state.down ? "descending" : "ascending") : null }, label));
  }
  document.querySelector("#rows thead").replaceChildren(row);
}

function scoreLine(example, name, i) {
  const [before, after, change] = example.cells[i];
  const cell = el("dd");
  if (before === null && after === null) cell.append(el("span", { class: "quiet" }, "-"));
  else if (!data.twoSides || (before === after && !example.worse.includes(i) && !example.better.includes(i))) cell.append(after);
  else {
    const kind = example.worse.includes(i) || (!data.compared && change < 0) ? "worse"
      : example.better.includes(i) || (!data.compared && change > 0) ? "better" : "";
    const isFlaky = (example.flaky || []).includes(i);
    const sign = isFlaky ? "~ " : { worse: "▼ ", better: "▲ " }[kind] || "";
    cell.append(el("span", { class: "quiet" }, `${before === null ? "none" : before} → `),
      el("strong", { class: isFlaky ? "" : kind }, sign + (after === null ? "none" : after)));
    if (isFlaky) cell.append(el("span", { class: "quiet" }, " flaky"));
  }
  return el("div", {}, el("dt", {}, el("bdi", {}, name)), cell);
}

function textCell(title, text, bad) {
  return el("td", { "data-label": title }, el("div", { class: bad ? "clamp bad" : "clamp", dir: "auto" }, preview(text)));
}

function outputCell(title, run) {
  return textCell(title, run && (run.error || run.output), run && run.error);
}

function errorBadges(example) {
  const [baseline, candidate] = example.taskErrors;
  const texts = [];
  if (candidate) texts.push(candidate);
  if (baseline) texts.push(`baseline: ${baseline}`);
  if (!texts.length && example.error) texts.push("evaluator error");
  return texts.map((text) => el("span", { class: "badge error" }, text));
}

function rowOf(example, position) {
  const [, baseline, candidate] = example.runs[0] || [];
  const only = data.twoSides && example.runs.every(([, , candidate]) => !candidate) ? "only in the baseline"
    : data.twoSides && example.runs.every(([, baseline]) => !baseline) ? "only in the candidate" : "";
  const open = () => showExample(position);
  return el("tr", { onclick: (event) => { if (!event.target.closest("button") && !String(getSelection())) open(); } },
    el("th", { scope: "row" }, el("button", { type: "button", class: "link", onclick: open }, example.id),
      ...errorBadges(example), only && el("span", { class: "badge" }, only)),
    textCell("Input", example.input),
    textCell("Expected", example.expected),
    ...(data.twoSides ? [outputCell("Baseline", baseline)] : []),
    outputCell(data.twoSides ? "Candidate" : "Output", candidate),
    el("td", { "data-label": "Scores" }, el("dl", { class: "score" },
      ...data.metrics.map((name, i) => scoreLine(example, name, i)),
      example.latency && el("div", { class: "quiet" }, el("dt", {}, "latency"), el("dd", {}, example.latency[1])))));
}

function draw() {
  select();
  drawHead();
  const from = state.page * PAGE_SIZE;
  const rows = shown.slice(from, from + PAGE_SIZE).map((example, i) => rowOf(example, from + i));
  document.querySelector("#rows tbody").replaceChildren(...rows);
  const total = `${count(data.examples.length)} ${data.examples.length === 1 ? "example" : "examples"}`
    + (data.totals ? ` on this page, which has not all ${count(data.totals.all[ANY])}` : "");
  document.getElementById("found").replaceChildren(shown.length
    ? `${count(shown.length)} of ${total}`
    : `None of the ${total}${data.totals ? "," : ""} matches. `, shown.length ? "" : el("button", { type: "button", class: "link", onclick: clear }, "Show all"));
  drawPages(from);
  drawTools();
}

function drawPages(from) {
  const step = (by) => { state.page += by; draw(); document.getElementById("examples").scrollIntoView(); };
  const last = Math.min(from + PAGE_SIZE, shown.length);
  document.getElementById("pages").replaceChildren(...(shown.length > PAGE_SIZE ? [
    el("button", { type: "button", id: "previous", disabled: from === 0, onclick: () => step(-1) }, "← Previous"),
    el("span", {}, `${(from + 1).toLocaleString("en-US")} to ${last.toLocaleString("en-US")}`),
    el("button", { type: "button", id: "next", disabled: last === shown.length, onclick: () => step(1) }, "Next →"),
  ] : []));
}

function change(values) {
  Object.assign(state, { page: 0 }, values);
  draw();
}

function sortBy(key) {
  change({ sort: key, down: state.sort === key ? !state.down : key === "latency" });
}

function clear() {
  document.getElementById("search").value = "";
  change({ filter: "all", metric: ANY, query: "" });
}

function sortChoices() {
  const [low, high] = data.compared ? ["worst change first", "best change first"] : ["lowest first", "highest first"];
  return [
    ...(data.compared ? [["rank:", "worst first"], ["rank:down", "best first"]] : []),
    ["place:", "order of the dataset"], ["id:", "id"], ["id:down", "id, last first"],
    ...data.metrics.flatMap((name, i) => [[`m${i}:`, `${name}: ${low}`], [`m${i}:down`, `${name}: ${high}`]]),
    ["latency:down", "slowest first"], ["latency:", "fastest first"],
  ];
}

// The controls say what is shown, however it came about.
function drawTools() {
  for (const button of document.querySelectorAll("#filters button")) {
    const name = button.dataset.name;
    button.setAttribute("aria-pressed", String(name === state.filter));
    button.lastElementChild.textContent = countOf(name);
  }
  document.getElementById("metric").value = String(state.metric);
  document.getElementById("sort").value = `${state.sort}:${state.down ? "down" : ""}`;
}
