// Wires the controls up, and shows the example that the address names.

for (const name of filterNames) {
  document.getElementById("filters").append(el("button", { type: "button", "data-name": name, "aria-pressed": "false", onclick: () => change({ filter: name }) },
    FILTERS[name][0], el("span", { class: "count" })));
}
if (data.compared) {
  const choice = document.getElementById("metric");
  choice.append(el("option", { value: ANY }, "any metric"), ...data.metrics.map((name, i) => el("option", { value: i }, name)));
  if (data.examples.some((example) => example.worse.includes(-1) || example.better.includes(-1))) choice.append(el("option", { value: -1 }, "task errors"));
  choice.onchange = () => change({ metric: Number(choice.value) });
  document.getElementById("metric-choice").hidden = false;
}
const sortChoice = document.getElementById("sort");
sortChoice.append(...sortChoices().map(([value, title]) => el("option", { value }, title)));
sortChoice.onchange = () => {
  const [sort, down] = sortChoice.value.split(":");
  change({ sort, down: down === "down" });
};

let waiting;
const search = document.getElementById("search");
search.oninput = () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => change({ query: search.value }), 120);
};
document.querySelector("form.tools").onsubmit = (event) => event.preventDefault();

// A count in the table of metrics leads to its examples.
for (const button of document.querySelectorAll("button[data-metric]")) {
  button.onclick = () => {
    document.getElementById("search").value = "";
    change({ filter: button.dataset.filter, metric: data.metrics.indexOf(button.dataset.metric), query: "" });
    document.getElementById("examples").scrollIntoView();
    document.querySelector("#rows tbody button")?.focus({ preventScroll: true });
  };
}

dialog.onclose = () => {
  history.replaceState(null, "", "#examples");
  if (Math.floor(position / PAGE_SIZE) !== state.page) change({ page: Math.floor(position / PAGE_SIZE) });
  document.querySelectorAll("#rows tbody th button")[position - state.page * PAGE_SIZE]?.focus();
};
dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
dialog.onkeydown = (event) => {
  if (event.target.closest("input, select, pre") || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "ArrowLeft") showExample(position - 1);
  if (event.key === "ArrowRight") showExample(position + 1);
};

function openNamed() {
  const named = /^#example=(.*)$/s.exec(location.hash);
  if (!named) return;
  let id;
  try { id = decodeURIComponent(named[1]); } catch { return; }
  if (dialog.open && shown[position]?.id === id) return;
  if (!shown.some((example) => example.id === id)) clear();
  showExample(shown.findIndex((example) => example.id === id));
}

draw();
openNamed();
window.onhashchange = openNamed;
