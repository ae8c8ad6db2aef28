// One example side by side: outputs with their differences, scores with explanations, errors.

const dialog = document.getElementById("detail");
let position = -1; // of the open example in what the table shows
let repetition = 0;
let marking = true;

function showExample(at, which = 0) {
  const example = shown[at];
  if (!example) return;
  position = at;
  repetition = Math.min(which, example.runs.length - 1);
  drawDetail(example);
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  history.replaceState(null, "", `#example=${encodeURIComponent(example.id)}`);
}

function drawDetail(example) {
  const step = (by, id) => () => { showExample(position + by); document.getElementById(id).focus(); };
  const [number, baseline, candidate] = example.runs[repetition];
  dialog.replaceChildren(
    el("div", { class: "detail-top" },
      el("h2", { id: "detail-title" }, el("bdi", {}, example.id)),
      el("div", { class: "detail-buttons" },
        el("span", { class: "quiet" }, `${position + 1} of ${shown.length}`),
        el("button", { type: "button", id: "before", disabled: position === 0, onclick: step(-1, "before"), "aria-label": "Previous example" }, "←"),
        el("button", { type: "button", id: "after", disabled: position === shown.length - 1, onclick: step(1, "after"), "aria-label": "Next example" }, "→"),
        el("button", { type: "button", id: "close", onclick: () => dialog.close(), autofocus: true }, "Close"))),
    el("div", { class: "detail-body" },
      el("div", { class: "pair" }, block("Input", example.input, example.kinds[0]), block("Expected output", example.expected, example.kinds[1])),
      repetitions(example, number),
      outputs(example, baseline, candidate),
      scoreTable(baseline, candidate)));
}

// A text under its heading; the end says where it was cut.
function block(title, value, kind, parts, tag) {
  const text = textOf(value);
  const body = el("pre", { dir: "auto", tabindex: "0", "aria-label": title });
  if (value === null || value === undefined) body.append(el("span", { class: "quiet" }, "nothing"));
  else if (!text) body.append(el("span", { class: "quiet" }, "an empty text"));
  else if (parts) body.append(...parts.map((part) => (part.changed ? el(tag, {}, part.text) : part.text)));
  else body.append(text);
  return el("section", { class: "block" }, el("h3", {}, title, kind ? el("span", { class: "badge" }, kind) : ""), body, cutNote(value));
}

function cutNote(value) {
  return Array.isArray(value)
    ? el("p", { class: "note cut" }, `Cut: the first ${value[0].length.toLocaleString("en-US")} of ${value[1]} characters. The whole text is in the experiment's store.`)
    : "";
}

function repetitions(example, number) {
  if (example.runs.length === 1 && number === 1) return "";
  return el("p", { class: "repetitions", role: "group", "aria-label": "Repetition" }, "Repetition ",
    ...example.runs.map(([n], i) => el("button", { type: "button", "aria-pressed": String(i === repetition), onclick: () => {
      repetition = i;
      drawDetail(example);
      dialog.querySelectorAll(".repetitions button")[i].focus();
    } }, String(n))));
}

function outputs(example, baseline, candidate) {
  if (!data.twoSides) return el("div", { class: "pair one" }, side("Output", candidate));
  const both = baseline && candidate && !baseline.error && !candidate.error;
  const [left, right] = [textOf(baseline && baseline.output), textOf(candidate && candidate.output)];
  const same = both && left === right;
  const [before, after] = both && marking && !same ? diffWords(left, right) : [null, null];
  const box = el("input", { type: "checkbox", id: "marking", checked: marking, onchange: () => {
    marking = box.checked;
    drawDetail(example);
    document.getElementById("marking").focus();
  } });
  return el("div", {},
    both ? el("p", { class: "note" }, same ? "Both outputs are the same." : el("label", {}, box, " mark the words that differ")) : "",
    el("div", { class: "pair" }, side("Baseline's output", baseline, before, "del"), side("Candidate's output", candidate, after, "ins")));
}

function side(title, run, parts, tag) {
  if (!run) return el("section", { class: "block" }, el("h3", {}, title), el("p", { class: "quiet" }, "not run"));
  const made = run.error
    ? el("section", { class: "block failed" }, el("h3", {}, title, el("span", { class: "badge error" }, "task error")),
      el("pre", { dir: "auto", tabindex: "0", "aria-label": `${title}: error` }, textOf(run.error)), cutNote(run.error))
    : block(title, run.output, run.kind, parts, tag);
  const facts = Object.entries(run.facts);
  if (facts.length) made.append(el("p", { class: "facts" }, ...facts.map(([name, fact]) => el("span", {}, `${name} `, el("b", {}, fact)))));
  return made;
}

function scoreTable(baseline, candidate) {
  const sides = data.twoSides ? [["baseline", baseline], ["candidate", candidate]] : [["", candidate]];
  const places = [...new Set(sides.flatMap(([, run]) => (run ? run.scores.map(([place]) => place) : [])))].sort((a, b) => a - b);
  if (!places.length) return el("p", { class: "note" }, "No scores.");
  const cellOf = (place, name, run) => {
    const found = run && run.scores.find(([at]) => at === place);
    return el("td", { "data-label": name }, ...(found ? evaluationOf(found) : [el("span", { class: "quiet" }, "no score")]));
  };
  return el("table", { class: "scores cards" },
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Metric"), ...sides.map(([name]) => el("th", { scope: "col" }, name || "Score")))),
    el("tbody", {}, ...places.map((place) => el("tr", {}, el("th", { scope: "row" }, el("bdi", {}, data.notes[place])),
      ...sides.map(([name, run]) => cellOf(place, name, run))))));
}

function evaluationOf([, score, label, explanation, error]) {
  return [
    score === null ? "" : el("strong", {}, score),
    label === null ? "" : el("span", { class: "badge" }, textOf(label)), cutNote(label),
    error === null ? "" : el("pre", { class: "bad", dir: "auto" }, `evaluator error: ${textOf(error)}`), cutNote(error),
    explanation === null ? "" : el("div", { class: "explanation", dir: "auto" }, textOf(explanation)), cutNote(explanation),
  ];
}
