// What a network driver's trace shows beside: registers, queues by their indices, the journey of frames.

/** The accesses to registers in this step, a doorbell among them. */
function registers(state) {
  const accesses = records(state.get("registers"));
  if (!accesses.length) return [];
  const lines = accesses.map((access) => {
    const write = access.access === "write" || access.write === true;
    const value = count(access.value);
    const wide = value !== null && value > 9 ? ` (0x${value.toString(16)})` : "";
    const bell = String(access.register) === "queue_notify";
    const times = count(access.times) ?? 1;
    return make("li", { class: bell ? "bell" : "" },
      make("span", { class: "soft" }, write ? "write " : "read "), make("b", null, String(access.register)),
      ` ${write ? "←" : "="} ${shown("value", access.value)}${wide}`,
      make("span", { class: "soft" }, ` ${8 * (count(access.width) ?? 0)} bits${times > 1 ? `, ${plural(times, "time")}` : ""}${bell ? ", the doorbell" : ""}`));
  });
  return [make("section", { class: "card registers" }, make("h4", null, "Registers in this step"),
    scroll("Registers in this step", "short", make("ol", null, lines)))];
}

function queues(state, before) {
  const told = records(state.get("queues"));
  const earlier = new Map(records(before?.get("queues")).map((queue) => [queue.queue, queue]));
  return told.map((queue) => {
    const was = earlier.get(queue.queue);
    const mark = (name) => (was && was[name] !== queue[name] ? "changed" : "");
    const size = count(queue.queue_size) ?? 0;
    const drawn = size ? ["avail", "used"].map((name) => circle({
      name, title: `${name === "avail" ? "available" : "used"} ring`, size, contents: null, waiting: [],
      hands: handsOf(name, (variable) => queue[variable]), owner: "idle", number: 0, sub: plural(size, "slot"), place: (hand) => hand,
    }, (_, name) => mark(name))) : [];
    const facts = Object.keys(queue)
      .filter((name) => !["queue", "queue_size", ...(size ? IN_RINGS : [])].includes(name))
      .map((name) => [name, name === "num_free" ? `${shown(name, queue[name])} of ${size}` : shown(name, queue[name]), mark(name)]);
    return make("section", { class: "queue" }, make("h4", null, `Queue ${shown("queue", queue.queue)}`),
      make("div", { class: "rings" }, drawn.map((ring) => scroll(`Ring of queue ${shown("queue", queue.queue)}`, "", ring))),
      card("Driver and device", facts, "plainly"));
  });
}

function sentWords(sent) {
  const where = `pair ${sent.pair}, queue ${sent.queue}`;
  if (sent.outcome === "queued") {
    const number = Array.isArray(sent.descriptors) ? sent.descriptors.length : 0;
    const table = Array.isArray(sent.table) && sent.table.length ? `, a table of ${sent.table.length} entries` : "";
    return `Frame ${sent.frame} (${where}): queued at head ${sent.head}, ${plural(number, "descriptor")}${table}, ` +
      `slot ${sent.slot}, avail_idx ${sent.avail_idx}; the device is ${sent.notified ? "" : "not "}notified`;
  }
  return `Frame ${sent.frame} (${where}): ${sent.outcome}${sent.reason ? `, ${sent.reason}` : ""}`;
}

/** What became of frames in this step, in words, with the chain of a frame as a table. */
function journey(state) {
  const told = state.get("journey");
  if (!told || typeof told !== "object" || Array.isArray(told)) return [];
  const lines = [];
  for (const sent of records(told.sent)) {
    const item = make("li", null, sentWords(sent));
    const chain = [...records(sent.descriptors), ...records(sent.table)];
    if (sent.outcome === "queued" && chain.length) {
      item.append(scroll(`The chain of frame ${sent.frame}`, "", make("table", { class: "chain" },
        make("caption", { class: "unseen" }, `The chain of frame ${sent.frame}`),
        make("thead", null, make("tr", null, ["descriptor", "address", "bytes", "flags", "next"].map((text) => make("th", { scope: "col" }, text)))),
        make("tbody", null, chain.map((entry) => make("tr", null,
          make("th", { scope: "row" }, shown("number", entry.number)),
          make("td", null, isCount(entry.address) ? `0x${entry.address.toString(16)}` : shown("address", entry.address)),
          make("td", null, shown("length", entry.length)), make("td", { class: "word" }, shown("flags", entry.flags)),
          make("td", null, isCount(entry.flags) && entry.flags & 1 ? shown("next", entry.next) : "-")))))));
    }
    lines.push(item);
    for (const frame of counts(sent.reclaimed) ?? []) lines.push(make("li", null, `Frame ${frame}: freed by the driver on the way`));
  }
  for (const read of records(told.read)) {
    const leaves = counts(read.leaves) ?? [];
    const out = leaves.length
      ? `sends ${plural(leaves.length, "frame")} of ${leaves.slice(0, 8).join(", ")}${leaves.length > 8 ? ", …" : ""} bytes`
      : "cannot send it, for the header does not fit the frame";
    lines.push(make("li", null, `Frame ${read.frame}: the device reads the chain at head ${read.head} of queue ${read.queue}, ${read.bytes} bytes, and ${out}`));
  }
  for (const used of records(told.used)) {
    lines.push(make("li", null, `Frame ${used.frame}: used, head ${used.head} of queue ${used.queue} goes into the used ring; used_idx ${used.used_idx}`));
  }
  for (const frame of counts(told.freed) ?? []) lines.push(make("li", null, `Frame ${frame}: freed by the driver`));
  for (const event of records(state.get("events"))) {
    lines.push(make("li", null, `The stack is told: ${String(event.kind).toLowerCase().replaceAll("_", " ")} ${shown("value", event.value)}`));
  }
  return lines.length
    ? [make("section", { class: "card journey" }, make("h4", null, "Frames in this step"), make("ul", { class: "points" }, lines))] : [];
}

/** What the colours mean that this step has. */
function legend(number) {
  const words = [
    steps[number].c && make("span", { class: "changed" }, "changed in this step"),
    number === story.broken && story.marked.length && make("span", { class: "wrong" }, "✗ what the property is about"),
  ].filter(Boolean);
  return words.length ? make("p", { class: "legend" }, words) : "";
}

/** The drawing of a step: all that its state says, in the order memory, owners, registers. */
function figure(number, state, before) {
  const mark = marker(number);
  const found = survey(state);
  const told = cards(state, found, mark);
  const drawn = [...queues(state, before), ...rings(state, found, mark)];
  return [
    ...drawn,
    ...journey(state),
    make("div", { class: `memory${found.rows ? " beside" : ""}` },
      make("div", { class: "cards" }, told.driver, told.device, registers(state), told.rest),
      make("div", { class: "tables" }, descriptors(state, found, mark), indirect(state, mark))),
    legend(number),
  ];
}
