// The page at work: one step at a time, by keys, slider, time line, buttons and links.

const by = (id) => document.getElementById(id);
const HEIGHT = 30;
const PAGE = 10;
const LANES = { init: "start", driver: "driver", device: "device", both: "driver and device" };
const MARKS = [["broken", "breaks it", "✗"], ["unavoidable", "unavoidable from here", "⚑"], ["variant", "the choice to change", "⤳"]];
const list = by("list");
const slider = by("slider");
let now = -1;

// -- the time line: only the rows in sight exist -----------------------------------------------------------

const sheet = make("div", { class: "sheet", role: "presentation" });
list.append(sheet);
sheet.style.height = `${HEIGHT * steps.length}px`;
list.style.maxHeight = `min(46rem, ${HEIGHT * steps.length + 1}px)`;

function marksOf(number) {
  return MARKS.filter(([name]) => story[name] === number);
}

function row(number) {
  const step = steps[number];
  const marks = marksOf(number);
  const element = make("div", {
    id: `row-${number}`, role: "option", "aria-selected": number === now ? "true" : "false", "aria-setsize": steps.length,
    "aria-posinset": number + 1, class: `row ${laneOf(step)} ${marks.map(([name]) => name).join(" ")}`,
    title: `${number}  ${wordsOf(step)}`, "data-number": number,
  },
  make("span", { class: "count" }, String(number)),
  make("span", { class: "unseen" }, `${laneOf(step)}: `),
  make("span", { class: "words" }, wordsOf(step)),
  marks.map(([name, words, sign]) => make("span", { class: `flag ${name}`, title: words },
    make("span", { "aria-hidden": "true" }, sign), make("span", { class: "unseen" }, `, ${words}`))));
  element.style.top = `${HEIGHT * number}px`;
  return element;
}

function showRows() {
  const from = Math.max(0, Math.floor(list.scrollTop / HEIGHT) - 12);
  const to = Math.min(LAST, Math.ceil((list.scrollTop + list.clientHeight) / HEIGHT) + 12);
  const rows = [];
  for (let number = from; number <= to; number += 1) rows.push(row(number));
  // The row that is selected stays, for the list names it.
  if (now >= 0 && (now < from || now > to)) rows.push(row(now));
  sheet.replaceChildren(...rows);
}

function keepInSight() {
  const top = HEIGHT * now;
  if (top < list.scrollTop + HEIGHT) list.scrollTop = top - HEIGHT;
  else if (top > list.scrollTop + list.clientHeight - 2 * HEIGHT) list.scrollTop = top - list.clientHeight + 2 * HEIGHT;
}

// -- the step ----------------------------------------------------------------------------------------------

/** What is said of the step above its drawing: words, differences, what it breaks, links to other steps. */
function said(number, step) {
  const lines = [make("p", { class: "action" }, wordsOf(step))];
  for (const words of step.x ?? []) lines.push(make("p", { class: "note differs" }, make("b", null, "Differs. "), words));
  for (const [name, words, sign] of marksOf(number)) {
    lines.push(make("p", { class: `note ${name}` }, make("span", { "aria-hidden": "true" }, `${sign} `),
      name === "broken" ? story.breaks : `${words[0].toUpperCase()}${words.slice(1)}.`));
  }
  return lines;
}

/** The changes, then what is marked though it did not change; with the switch on all the others, too. */
function rowsOf(number, state) {
  const changes = changesOf(steps[number]);
  const accused = new Set(number === story.broken ? story.marked : []);
  const moved = new Set(changes.map((change) => change.variable));
  const whole = (name) => ({ variable: name, name, old: null, now: shown(name, state.get(name)) });
  const still = [...state.keys()].filter((name) => accused.has(name) && !moved.has(name)).map(whole);
  const every = by("every").checked
    ? [...state.keys()].filter((name) => name !== "words" && !accused.has(name) && !changes.some((change) => change.name === name)).map(whole) : [];
  return [...changes, ...still, ...every].map((change) => ({ ...change, wrong: accused.has(change.variable) }));
}

function changeTable(rows) {
  if (!rows.length) return make("p", { class: "soft" }, "Nothing that is shown here.");
  return scroll("What changed", "", make("table", { class: "changes" },
    make("thead", null, make("tr", null, ["variable", "before", "after"].map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", null, rows.map((change) => make("tr", { class: change.wrong ? "wrong" : change.old === null ? "still" : "changed" },
      make("th", { scope: "row" }, change.wrong ? make("span", { class: "sign", title: "what the property is about" }, "✗ ") : null, change.name),
      change.old === null ? make("td", { colspan: 2 }, change.now) : [make("td", null, change.old), make("td", null, change.now)])))));
}

function sourceList(step) {
  return make("ol", { class: "sources" }, step.s.map((at) => {
    const [side, file, line, where, text, variables, seeded] = story.sources[at];
    return make("li", { class: seeded ? "seeded" : "" },
      make("p", { class: "where" }, make("span", { class: "chip" }, side === "c" ? "C" : side), ` ${file}:${line} `, make("b", null, where),
        variables.length ? `, changes ${variables.join(", ")}` : null,
        seeded ? make("span", { class: "chip bad" }, "✗ seeded defect") : null),
      make("pre", null, make("code", null, text)));
  }));
}

/** The step in one sentence, for those who do not see it. */
function announce(number, step) {
  const changes = changesOf(step).slice(0, 8).map((change) => `${change.name} ${change.old === null ? "" : `${change.old} to `}${change.now}`);
  return [
    `Step ${number} of ${LAST}, ${laneOf(step)}: ${wordsOf(step)}.`,
    ...(step.x ?? []), changes.length ? `Changed: ${changes.join(", ")}.` : "", number === story.broken ? story.breaks : "",
  ].filter(Boolean).join(" ");
}

/** What scrolls must be reached by keys, but nothing else should stop there. */
function reachable() {
  for (const box of document.querySelectorAll(".scroll")) {
    const scrolls = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
    if (scrolls) {
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", `${box.dataset.label}, scrolls`);
    } else for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
  }
}

let speaking = 0;
let writing = 0;

function go(number, { silent = false } = {}) {
  const wanted = Math.max(0, Math.min(LAST, number));
  if (wanted === now) return;
  now = wanted;
  const step = steps[now];
  const state = stateAt(now);
  by("step-title").replaceChildren(make("span", { class: `chip ${laneOf(step)}` }, LANES[laneOf(step)]), ` Step ${now}`);
  by("said").replaceChildren(...said(now, step));
  by("figure").replaceChildren(...figure(now, state, now ? stateAt(now - 1) : null));
  by("changes").replaceChildren(changeTable(rowsOf(now, state)));
  by("source").hidden = !step.s;
  by("lines").replaceChildren(...(step.s ? [sourceList(step)] : []));
  by("place").textContent = `step ${now.toLocaleString("en")} of ${LAST.toLocaleString("en")}`;
  slider.value = now;
  slider.setAttribute("aria-valuetext", `step ${now}: ${wordsOf(step)}`);
  for (const [id, end] of [["first", 0], ["back", 0], ["next", LAST], ["last", LAST]]) {
    by(id).setAttribute("aria-disabled", now === end ? "true" : "false");
  }
  keepInSight();
  showRows();
  list.setAttribute("aria-activedescendant", `row-${now}`);
  reachable();
  const tall = by("figure").querySelector(".tall");
  const first = tall?.querySelector("tbody .wrong, tbody .changed")?.closest("tr");
  if (first) tall.scrollTop = Math.max(0, first.offsetTop - tall.clientHeight / 2);
  clearTimeout(speaking);
  if (!silent) speaking = setTimeout(() => { by("live").textContent = announce(now, step); }, 200);
  // A browser refuses too many changes of the address at once.
  clearTimeout(writing);
  if (!silent) writing = setTimeout(() => { history.replaceState(null, "", `#step=${now}`); }, 120);
}

// -- what the reader does ----------------------------------------------------------------------------------

function linked() {
  const found = /^#step=(\d{1,9})$/.exec(location.hash);
  return found ? Number(found[1]) : null;
}

const letters = by("letters");
const jump = (number) => () => { if (number !== null) go(number); };
const KEYS = {
  ArrowLeft: () => go(now - 1), ArrowRight: () => go(now + 1), PageUp: () => go(now - PAGE), PageDown: () => go(now + PAGE),
  Home: () => go(0), End: () => go(LAST),
};
const LETTERS = {
  b: jump(story.broken), u: jump(story.unavoidable), v: jump(story.variant), "?": () => by("keys").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented || by("keys").open) return;
  const scroller = event.target.closest?.(".scroll[tabindex]");
  const inList = event.target === list;
  const keys = inList ? { ...KEYS, ArrowUp: KEYS.ArrowLeft, ArrowDown: KEYS.ArrowRight } : KEYS;
  // The slider knows these keys itself; what scrolls needs them.
  const act = letters.checked && Object.hasOwn(LETTERS, event.key) ? LETTERS[event.key]
    : !scroller && Object.hasOwn(keys, event.key) ? keys[event.key] : null;
  if (!act) return;
  event.preventDefault();
  act();
});
slider.addEventListener("input", () => go(Number(slider.value)));
list.addEventListener("scroll", showRows, { passive: true });
list.addEventListener("click", (event) => {
  const found = event.target.closest("[data-number]");
  if (found) go(Number(found.dataset.number));
});
for (const [id, key] of [["first", "Home"], ["back", "ArrowLeft"], ["next", "ArrowRight"], ["last", "End"]]) {
  by(id).addEventListener("click", KEYS[key]);
}
by("every").addEventListener("change", () => {
  by("changes").replaceChildren(changeTable(rowsOf(now, stateAt(now))));
  reachable();
});
by("help").addEventListener("click", LETTERS["?"]);
by("close").addEventListener("click", () => by("keys").close());
by("to-broken").addEventListener("click", LETTERS.b);
by("to-broken").hidden = story.broken === null;
document.addEventListener("click", (event) => {
  if (event.target.closest?.('a[href^="#step="]')) by("run").scrollIntoView();
});
addEventListener("hashchange", () => {
  const number = linked();
  if (number !== null) go(number);
});
let width = innerWidth;
addEventListener("resize", () => {
  showRows();
  if (innerWidth !== width) by("figure").replaceChildren(...figure(now, stateAt(now), now ? stateAt(now - 1) : null));
  width = innerWidth;
  reachable();
});

// -- begin -------------------------------------------------------------------------------------------------

slider.max = LAST;
for (const number of new Set(MARKS.map(([name]) => story[name]))) {
  if (!isCount(number) || number > LAST) continue;
  const pin = make("span", { class: "pin" }, marksOf(number).map(([name, words, sign]) =>
    make("span", { class: name, title: `step ${number}: ${words}` }, sign)));
  pin.style.left = `${LAST ? (100 * number) / LAST : 0}%`;
  by("pins").append(pin);
}
by("run").hidden = false;
document.documentElement.classList.add("alive");
const wanted = linked();
// Before its probe a network driver has nothing to show.
go(wanted ?? story.broken ?? (story.kind === "network" ? 1 : 0), { silent: true });
if (wanted !== null) by("run").scrollIntoView();
