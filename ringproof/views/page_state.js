"use strict";
// The data of the page: states put together from what each step changed, and what they say of the ring.

const story = JSON.parse(document.getElementById("story").textContent);
const strings = story.strings;
const steps = story.steps;
const LAST = steps.length - 1;
const SOME = 128;
const kept = [];

const laneOf = (step) => strings[step.l];
const wordsOf = (step) => strings[step.w] + (step.o === undefined ? "" : ` → ${strings[step.o]}`);

/** The changes of a step, each with the variable, the name of the place, the old value or null, the new one. */
function changesOf(step) {
  return (step.c ?? []).map(([variable, name, old, now]) => ({
    variable: strings[variable], name: strings[name], old, now,
  }));
}

function advance(state, step) {
  for (const [name, value] of step.d ?? []) state.set(strings[name], value);
  for (const [name, ...entries] of step.e ?? []) {
    const table = state.get(strings[name]).slice();
    for (let at = 0; at < entries.length; at += 2) table[entries[at]] = entries[at + 1];
    state.set(strings[name], table);
  }
  for (const name of step.r ?? []) state.delete(strings[name]);
}

/** The variables after step `number`, by name. Every so many states are kept, so that a jump is short. */
function stateAt(number) {
  if (!kept.length) {
    kept.push(new Map());
    advance(kept[0], steps[0]);
  }
  const base = Math.floor(number / SOME);
  for (let at = kept.length; at <= base; at += 1) {
    const state = new Map(kept[at - 1]);
    for (let step = (at - 1) * SOME + 1; step <= at * SOME; step += 1) advance(state, steps[step]);
    kept.push(state);
  }
  const state = new Map(kept[base]);
  for (let step = base * SOME + 1; step <= number; step += 1) advance(state, steps[step]);
  return state;
}

// -- values: a trace may come from anywhere, so nothing is taken for granted ------------------------------

const isCount = (value) => Number.isInteger(value) && value >= 0;
const count = (value) => (isCount(value) ? value : null);
const counts = (value) => (Array.isArray(value) && value.every(isCount) ? value : null);
const records = (value) =>
  Array.isArray(value) ? value.filter((entry) => entry && typeof entry === "object" && !Array.isArray(entry)) : [];
const plural = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
const behind = (index, other) => (index - other) & 0xffff;

const FLAGS = [[1, "NEXT"], [2, "WRITE"], [4, "INDIRECT"]];
const flagWords = (flags) => FLAGS.filter(([bit]) => flags & bit).map(([, word]) => word).join("+") || "0";

/** One value as text, as it reads among the changes. */
function shown(name, value) {
  if (Array.isArray(value)) return `[${value.map((entry) => shown(name, entry)).join(" ")}]`;
  if (value === true) return "yes";
  if (value === false) return "no";
  if (value === null || value === undefined) return "-";
  if (typeof value === "object") {
    return `{${Object.entries(value).map(([key, entry]) => `${key}: ${shown(key, entry)}`).join(", ")}}`;
  }
  if (name === "flags" && isCount(value)) return flagWords(value);
  if (name === "data" && value === 0) return "-";
  return String(value);
}

// -- who owns what -----------------------------------------------------------------------------------------

const OWNERS = {
  free: "free", available: "available", device: "device", used: "used", held: "driver",
  none: "nowhere", twice: "in two places",
};

/** The slots between two indices, at most all of them, oldest first. */
function pending(from, to, size) {
  if (from === null || to === null || !size) return [];
  const number = Math.min(behind(to, from), size);
  return Array.from({ length: number }, (_, at) => (from + at) % size);
}

/** What the tables of a state say: each descriptor's owner, the links, the slots that wait in either ring. */
function survey(state) {
  const next = counts(state.get("next"));
  const flags = counts(state.get("flags"));
  const data = counts(state.get("data")) ?? [];
  const avail = counts(state.get("avail_ring"));
  const used = counts(state.get("used_ring"));
  const size = story.size || next?.length || avail?.length || 0;
  const indices = Object.fromEntries(
    ["avail_idx", "read_idx", "used_idx", "last_used_idx"].map((name) => [name, count(state.get(name))]),
  );
  const unread = pending(indices.read_idx, indices.avail_idx, size);
  const unseen = pending(indices.last_used_idx, indices.used_idx, size);
  const found = { size, next, flags, data, avail, used, unread, unseen, rows: null, links: [] };
  if (!next || !flags || next.length !== flags.length) return found;

  const heads = new Map();
  const claim = (head, owner) => { if (head < next.length && !heads.has(head)) heads.set(head, owner); };
  for (const head of counts(state.get("in_flight")) ?? []) claim(head, "device");
  if (used) unseen.forEach((slot) => claim(used[slot], "used"));
  if (avail) unread.forEach((slot) => claim(avail[slot], "available"));
  data.forEach((token, head) => { if (token) claim(head, "held"); });

  const rows = next.map(() => ({ owner: "none", token: null, first: false, claims: 0 }));
  const take = (at, owner, token, first) => {
    const row = rows[at];
    row.claims += 1;
    row.owner = row.claims > 1 ? "twice" : owner;
    row.token = token;
    row.first = first;
  };
  let at = count(state.get("free_head"));
  const free = Math.min(count(state.get("num_free")) ?? 0, next.length);
  const seen = new Set();
  for (let left = free; left > 0 && at !== null && at < next.length && !seen.has(at); left -= 1) {
    seen.add(at);
    take(at, "free", null, false);
    if (left > 1) found.links.push({ from: at, to: next[at], owner: "free" });
    at = next[at];
  }
  for (const [head, owner] of heads) {
    const walked = new Set();
    for (let cell = head; cell < next.length && !walked.has(cell); cell = next[cell]) {
      walked.add(cell);
      take(cell, owner, data[head] || 0, cell === head);
      if (!(flags[cell] & 1)) break;
      found.links.push({ from: cell, to: next[cell], owner });
    }
  }
  found.rows = rows;
  return found;
}
