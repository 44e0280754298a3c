// The ring drawn: two circles of slots with the indices as hands, the descriptor table with its links.

/** An element with attributes and children; text only ever becomes text. */
function make(tag, attributes, ...children) {
  const drawn = ["svg", "g", "path", "circle", "line", "rect", "text", "tspan", "polygon"].includes(tag);
  const element = drawn ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A place that may scroll when what is in it is too large; `label` names it where it does. */
const scroll = (label, size, ...children) => make("div", { class: `scroll ${size}`, "data-label": label }, children);

const round = (number) => Math.round(number * 10) / 10;

/** How a place is marked in this step: "wrong" if the broken property is about it, "changed", or "". */
function marker(number) {
  const changes = changesOf(steps[number]);
  const names = new Set(changes.map((change) => change.name));
  const variables = new Set(changes.map((change) => change.variable));
  const accused = new Set(number === story.broken ? story.marked : []);
  const mark = (variable, name = variable) => {
    const moved = names.has(name);
    // Of a table of which entries changed, these are meant; of one that stood still, its head.
    if (accused.has(variable) && (moved || (name === variable && !variables.has(variable)))) return "wrong";
    return moved ? "changed" : "";
  };
  mark.title = (variable) => (accused.has(variable) && !variables.has(variable) ? "wrong" : "");
  return mark;
}

const SIGNS = { wrong: "✗ ", changed: "", "": "" };

// -- a ring as a circle ------------------------------------------------------------------------------------

const HANDS = {
  avail: [["avail_idx", "driver"], ["read_idx", "device"], ["avail_event", "device"]],
  used: [["used_idx", "device"], ["last_used_idx", "driver"], ["used_event", "driver"]],
};
const LABEL = 100;
const EDGE = 20;
const RADII = [[8, 84], [16, 100], [32, 124], [64, 168]];

const point = (radius, angle) => [round(radius * Math.sin(angle)), round(-radius * Math.cos(angle))];

function sector(inner, outer, from, to) {
  const large = to - from > Math.PI ? 1 : 0;
  const [[a, b], [c, d], [e, f], [g, h]] = [point(outer, from), point(outer, to), point(inner, to), point(inner, from)];
  return `M${a} ${b}A${outer} ${outer} 0 ${large} 1 ${c} ${d}L${e} ${f}A${inner} ${inner} 0 ${large} 0 ${g} ${h}Z`;
}

/** Labels left and right of the circle, pushed apart so that none hides another. */
function spread(labels, height) {
  const [top, bottom, apart] = [-height / 2 + 14, height / 2 - 20, 36];
  for (const side of [-1, 1]) {
    const column = labels.filter((label) => label.side === side).sort((a, b) => a.y - b.y);
    let least = top;
    for (const label of column) {
      label.y = Math.max(label.y, least);
      least = label.y + apart;
    }
    let most = bottom;
    for (const label of column.reverse()) {
      label.y = Math.min(label.y, most);
      most = label.y - apart;
    }
  }
}

/**
 * One ring. `ring` has its name, title, size, contents or null, the slots that wait and their owner,
 * and hands: name, lane, value.
 */
function circle(ring, mark) {
  const { size, contents, hands } = ring;
  const radius = (number) => (RADII.find(([most]) => number <= most) ?? RADII[3])[1];
  // Many slots need room; without it the ring is drawn as a band, as that of a large queue is.
  const fits = size <= 16 || 2 * (radius(size) + EDGE + LABEL + 4) <= document.getElementById("figure").clientWidth;
  const slots = contents && size <= 64 && fits ? size : 0;
  const outer = radius(slots);
  const inner = outer - (slots > 32 ? 22 : 28);
  const width = 2 * (outer + EDGE + LABEL + 4);
  const height = 2 * outer + 40;
  const turn = 2 * Math.PI;
  const parts = [];
  const angle = (slot) => ((slot + 0.5) / size) * turn;

  parts.push(make("circle", { r: outer, class: "rim" }), make("circle", { r: inner, class: "rim" }));
  if (slots) {
    for (let slot = 0; slot < slots; slot += 1) {
      const waits = ring.waiting.includes(slot);
      const state = mark(`${ring.name}_ring`, `${ring.name}_ring[${slot}]`);
      const look = `slot ${waits ? ring.owner : "idle"} ${state}`;
      if (slots === 1) {
        parts.push(make("circle", { r: (outer + inner) / 2, class: `${look} whole`, "stroke-width": outer - inner }));
      } else {
        const gap = Math.min(0.02, 0.4 / slots);
        const from = (slot / slots) * turn + gap;
        parts.push(make("path", { d: sector(inner, outer, from, ((slot + 1) / slots) * turn - gap), class: look }));
      }
      const [x, y] = point((outer + inner) / 2, angle(slot));
      const text = `${state === "wrong" && slots <= 16 ? "✗" : ""}${contents[slot] ?? ""}`;
      parts.push(make("text", { x, y: y + 4, class: `content ${waits ? "" : "stale"} ${slots > 32 ? "small" : ""}` }, text));
      if (slots <= 16 || slot % 4 === 0) {
        // With one slot or two, the middle of a slot is where the ring's name stands.
        const [p, q] = point(inner - 9, angle(slot) - (slots <= 2 ? turn / 8 : 0));
        parts.push(make("text", { x: p, y: q + 3, class: "number" }, String(slot)));
      }
    }
  } else {
    if (ring.waitingFrom !== null && ring.waitingFrom !== undefined && ring.number) {
      const from = ((ring.waitingFrom % size) / size) * turn;
      const all = ring.number >= size;
      parts.push(all
        ? make("circle", { r: (outer + inner) / 2, class: `slot ${ring.owner} whole`, "stroke-width": outer - inner })
        : make("path", { d: sector(inner, outer, from, from + (ring.number / size) * turn), class: `slot ${ring.owner}` }));
    }
    for (let quarter = 0; quarter < Math.min(size, 4); quarter += 1) {
      const slot = Math.floor((quarter * size) / 4);
      const [p, q] = point((outer + inner) / 2, (slot / size) * turn);
      const [[a, b], [c, d]] = [point(inner, (slot / size) * turn), point(inner + 5, (slot / size) * turn)];
      parts.push(make("line", { x1: a, y1: b, x2: c, y2: d, class: "rim" }));
      parts.push(make("text", { x: p, y: q + 3, class: "number" }, String(slot)));
    }
  }
  parts.push(make("text", { y: -4, class: "name" }, ring.title), make("text", { y: 13, class: "sub" }, ring.sub));

  const at = new Map();
  for (const hand of hands) at.set(hand.value % size, [...(at.get(hand.value % size) ?? []), hand]);
  const labels = [];
  for (const [slot, group] of at) {
    group.forEach((hand, place) => {
      // Hands at one slot stand side by side, within it where it is wide enough.
      const fan = Math.max(0.12, Math.min(0.27, (0.6 * turn) / size / group.length));
      const where = angle(slot) + (place - (group.length - 1) / 2) * fan;
      labels.push({ hand, slot, where });
    });
  }
  labels.sort((a, b) => a.where - b.where);
  labels.forEach((label, at) => {
    // Where no slots are drawn, hands that all but meet are moved apart: the words say the slot.
    if (!slots && at) label.where = Math.max(label.where, labels[at - 1].where + 0.12);
    [label.x, label.tip] = point(outer + 2, label.where);
    label.y = point(outer + 14, label.where)[1];
    label.side = label.x < -0.5 ? -1 : 1;
  });
  spread(labels, height);
  for (const { hand, slot, where, x, y, tip, side } of labels) {
    const state = mark(ring.place(hand.name), hand.name);
    const [a, b] = point(outer + 11, where - 0.055 * (84 / outer));
    const [c, d] = point(outer + 11, where + 0.055 * (84 / outer));
    const [e, f] = point(outer + 11, where);
    const edge = side * (outer + EDGE);
    parts.push(make("polygon", { points: `${x},${tip} ${a},${b} ${c},${d}`, class: `hand ${hand.lane}` }));
    parts.push(make("path", { d: `M${e} ${f}L${edge - side * 4} ${y}H${edge}`, class: `leader ${hand.lane}` }));
    const place = { x: edge + side * 4, "text-anchor": side < 0 ? "end" : "start" };
    if (state) {
      // As wide as the text in the widest of usual fonts.
      const box = Math.min(LABEL, 42 + 7.9 * String(hand.value).length + 7 * String(slot).length);
      parts.push(make("rect", { x: side < 0 ? edge - box : edge, y: y + 1, width: box, height: 18, rx: 3, class: `box ${state}` }));
    }
    parts.push(make("text", { ...place, y: y - 3, class: `handname ${hand.lane}` }, `${SIGNS[state]}${hand.name}`));
    parts.push(make("text", { ...place, y: y + 14, class: "handvalue" }, String(hand.value),
      make("tspan", { class: "handslot" }, ` · slot ${slot}`)));
  }
  const said = [
    `${ring.title}, ${plural(size, "slot")}, ${ring.sub}.`,
    ...ring.waiting.filter(() => slots).map((slot) => `Slot ${slot} holds head ${contents[slot]}.`),
    ...hands.map((hand) => `${hand.name} is ${hand.value}, at slot ${hand.value % size}.`),
  ].join(" ");
  return make("svg", {
    role: "img", "aria-label": said, class: `ring${slots > 16 ? " wide" : ""}`,
    viewBox: `${-width / 2} ${-height / 2} ${width} ${height}`, width, height,
  }, parts);
}

/** The hands whose values a state has. */
function handsOf(kind, values) {
  return HANDS[kind]
    .map(([name, lane]) => ({ name, lane, value: count(values(name)) }))
    .filter((hand) => hand.value !== null);
}

/** Both rings of the queue of a state; nothing if it says no index of theirs. */
function rings(state, found, mark) {
  const said = [];
  for (const [name, title, unread, owner, waits] of [
    ["avail", "available ring", found.unread, "available", "unread"],
    ["used", "used ring", found.unseen, "used", "not fetched"],
  ]) {
    const hands = handsOf(name, (variable) => state.get(variable));
    if (!found.size || !hands.length) continue;
    const known = count(state.get(name === "avail" ? "read_idx" : "last_used_idx"));
    const contents = found[name];
    said.push(scroll(title, "", circle({
      name, title, size: found.size, contents: contents && contents.length >= found.size ? contents : null,
      hands, owner, waiting: unread, waitingFrom: known, number: unread.length,
      sub: known === null ? plural(found.size, "slot") : `${unread.length} ${waits}`,
      place: (hand) => hand,
    }, mark)));
  }
  return said.length ? [make("div", { class: "rings" }, said)] : [];
}

// -- the descriptor table ----------------------------------------------------------------------------------

const ROW = 26;

/** The table, and beside it the links as arrows: of chains, and of the free list from free_head on. */
function descriptors(state, found, mark) {
  if (!found.rows) return [];
  const { rows, next, flags } = found;
  const [addr, len] = ["addr", "len"].map((name) => counts(state.get(name))?.slice(0, next.length) ?? []);
  const told = addr.length === next.length && len.length === next.length;
  const kinds = story.kind === "steps" ? { ...OWNERS, none: "in hand" } : OWNERS;
  const cell = (variable, at, text, extra = "") => {
    const look = mark(variable, `${variable}[${at}]`);
    return make("td", { class: `${look} ${extra}` }, `${SIGNS[look]}${text}`);
  };
  const head = (variable, text) => {
    const look = mark.title(variable);
    return make("th", { scope: "col", class: look }, `${SIGNS[look]}${text}`);
  };
  const table = make("table", { class: "descriptors" },
    make("caption", { class: "unseen" }, "Descriptor table"),
    make("thead", null, make("tr", null, make("th", { scope: "col" }, "desc"), make("th", { scope: "col" }, "owner"),
      head("data", "token"), head("flags", "flags"), head("next", "next"),
      told ? [head("addr", "addr"), head("len", "len")] : null)),
    make("tbody", null, rows.map((row, at) => {
      const lost = row.owner === "twice" || (row.owner === "none" && story.kind !== "steps");
      const token = row.token === null ? "-" : row.first ? String(row.token || "none") : `↳ ${row.token || "none"}`;
      return make("tr", { class: `${row.owner}${lost ? " lost" : ""}` },
        make("th", { scope: "row" }, String(at)),
        make("td", { class: "owner" }, make("span", { class: "chip" }, `${lost ? "✗ " : ""}${kinds[row.owner]}`)),
        cell("data", at, token, "token"),
        cell("flags", at, flagWords(flags[at]), "word"),
        cell("next", at, String(next[at])),
        told ? [cell("addr", at, `0x${addr[at].toString(16)}`), cell("len", at, String(len[at]))] : null);
    })));
  const box = scroll("Descriptor table", "tall", make("div", { class: "linked" }, table, links(state, found, mark)));
  return [make("section", { class: "table" }, make("h4", null, "Descriptor table"), box)];
}

/** Tables of indirect chains, where a state has them. */
function indirect(state, mark) {
  return records(state.get("tables")).map((table) => {
    const name = `table ${shown("table", table.table)}`;
    const part = (entry, at, key) => make("td", { class: mark("tables", `${name}[${at}].${key}`) },
      key === "addr" && isCount(entry.addr) ? `0x${entry.addr.toString(16)}` : shown(key, entry[key]));
    return make("section", { class: "table" },
      make("h4", null, `Indirect ${name}: `, make("span", { class: `chip ${mark("tables", name)}` }, table.allocated ? "allocated" : "freed")),
      scroll(`Indirect ${name}`, "", make("table", { class: "descriptors" },
        make("thead", null, make("tr", null, ["entry", "flags", "next", "addr", "len"].map((text) => make("th", { scope: "col" }, text)))),
        make("tbody", null, records(table.entries).map((entry, at) => make("tr", null,
          make("th", { scope: "row" }, String(at)), ["flags", "next", "addr", "len"].map((key) => part(entry, at, key))))))));
  });
}

function links(state, found, mark) {
  const total = found.rows.length;
  const middle = (at) => ROW * (at + 1.5);
  const reach = (from, to) => Math.min(14 + 7 * Math.abs(from - to), 84);
  const inside = found.links.filter((link) => link.to < total);
  const farthest = Math.max(20, ...inside.map((link) => reach(link.from, link.to)));
  const parts = inside.map((link) => {
    const [y, z] = [middle(link.from) + 5, middle(link.to) - 5];
    const far = reach(link.from, link.to) * 1.25;
    const look = `link ${link.owner} ${mark("next", `next[${link.from}]`)}`;
    return make("g", { class: look },
      make("path", { d: link.from === link.to
        ? `M3 ${y}C${far} ${y + 8} ${far} ${z - 8} 9 ${z}` : `M3 ${y}C${far} ${y} ${far} ${z} 9 ${z}` }),
      make("polygon", { points: `3,${z} 10,${z - 3.5} 10,${z + 3.5}` }));
  });
  const start = count(state.get("free_head"));
  if (start !== null && start < total) {
    const look = mark("free_head");
    const y = middle(start) - 5;
    const x = farthest + 22;
    parts.push(make("g", { class: `link free start ${look}` },
      make("path", { d: `M9 ${y}H${x}` }), make("polygon", { points: `3,${y} 10,${y - 3.5} 10,${y + 3.5}` }),
      make("text", { x: x + 4, y: y + 4 }, `${SIGNS[look]}free_head`)));
  }
  const free = found.links.filter((link) => link.owner === "free").map((link) => link.to);
  const none = count(state.get("num_free")) === 0;
  const said = none ? "The free list is empty." : `Free list from free_head: ${[start, ...free].join(", ")}.`;
  return make("svg", {
    role: "img", "aria-label": said, class: "links", width: farthest + 110, height: ROW * (total + 1),
    viewBox: `0 0 ${farthest + 110} ${ROW * (total + 1)}`,
  }, parts);
}

// -- what is no table --------------------------------------------------------------------------------------

const CARDS = {
  driver: ["free_head", "num_free", "num_added", "last_used_idx", "avail_flags", "used_event", "callbacks", "broken"],
  device: ["read_idx", "in_flight", "used_flags", "avail_event", "notifications"],
};
const IN_RINGS = ["avail_idx", "used_idx", "last_used_idx", "used_event", "avail_event", "read_idx"];
const TOLD_ELSEWHERE = new Set([
  "result", "expected", "observed", "registers", "next", "flags", "data", "avail_ring", "used_ring", "queues",
  "statistics", "journey", "events", "words", "tables",
]);

function card(title, entries, lane, ...more) {
  if (!entries.length && !more.flat().length) return [];
  return [make("section", { class: `card ${lane}` }, make("h4", null, title),
    entries.length ? make("dl", null, entries.map(([name, text, look]) =>
      make("div", { class: look }, make("dt", null, name), make("dd", null, `${SIGNS[look]}${text}`)))) : null, ...more)];
}

/** Heads at the device with their tokens, in the order it took them. */
function flight(state, found, look) {
  const heads = counts(state.get("in_flight"));
  if (!heads) return [];
  const chips = heads.map((head) => make("li", { class: "chip" },
    `head ${head}${found.data[head] ? `, token ${found.data[head]}` : ""}`));
  return [make("div", { class: `flight ${look}` }, make("h5", null, `${SIGNS[look]}in flight`),
    heads.length ? make("ul", null, chips) : make("p", { class: "soft" }, "none"))];
}

function cards(state, found, mark) {
  const drawn = new Set(found.size ? IN_RINGS : []);
  const entry = (name) => {
    const text = shown(name, state.get(name));
    return [name, name === "num_free" && found.size ? `${text} of ${found.size}` : text, mark(name)];
  };
  const of = (names) => names.filter((name) => state.has(name) && !drawn.has(name) && name !== "in_flight").map(entry);
  const known = new Set([...CARDS.driver, ...CARDS.device, ...IN_RINGS]);
  const rest = [...state.keys()].filter((name) => {
    const value = state.get(name);
    return !known.has(name) && !TOLD_ELSEWHERE.has(name) && (value === null || typeof value !== "object");
  });
  return {
    driver: card("Driver", of(CARDS.driver), "driver"),
    device: card("Device", of(CARDS.device), "device", flight(state, found, mark("in_flight"))),
    rest: card("Beside these", rest.map(entry), "rest"),
  };
}
