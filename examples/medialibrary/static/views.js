// The rows: one of a library, and one of a task that is running, pending or over.

import { make, makeButton, nameButtons, say, sayTime } from "./rows.js";
import { isStopping } from "./tasks.js";
import * as words from "./words.js";

const LONG = 200; // characters of an error that are shown at once

const part = (row, name) => row.querySelector(`[data-part="${name}"]`);

/** An element that `fill` finds again by its name. */
const slot = (tag, name, attributes = {}) => make(tag, { "data-part": name, ...attributes });

/** Shows a text, or nothing at all when there is none. */
function show(row, name, text) {
  const element = part(row, name);
  say(element, text);
  element.hidden = !text;
}

/** Shows a text that may be longer than its place: all of it is there for a pointer that rests on it. */
function showLong(row, name, text) {
  show(row, name, text);
  part(row, name).title = text;
}

/** `stateOf(id)` returns what is to be said of a library besides its name. */
export const libraryView = (stateOf) => ({
  make: () =>
    make(
      "li",
      {},
      make("div", { class: "line" }, make("strong", {}, slot("bdi", "name")), slot("span", "state", { class: "badge" })),
      make("div", { class: "buttons" }, makeButton("Scan", " ", "scan"), makeButton("Deep scan", " of ", "deep")),
    ),
  fill(row, library) {
    showLong(row, "name", library.name);
    show(row, "state", stateOf(library.id));
    nameButtons(row, library.name);
  },
});

export const runningView = (nameOf, rateOf) => ({
  make: () =>
    make(
      "li",
      {},
      make(
        "div",
        { class: "line" },
        make("h3", {}, slot("bdi", "name")),
        slot("span", "state", { class: "badge" }),
        slot("span", "scope", { class: "badge" }),
        slot("span", "attempt", { class: "badge" }),
      ),
      slot("progress", "bar"),
      make(
        "div",
        { class: "line details" },
        slot("span", "progress"),
        slot("span", "rate"),
        make("span", {}, "started ", slot("time", "started")),
      ),
      slot("p", "message", { class: "message", dir: "auto" }),
      make(
        "div",
        { class: "buttons" },
        makeButton("Scan again afterwards", " ", "again"),
        makeButton("Cancel", " the scan of ", "cancel"),
      ),
    ),
  fill(row, task) {
    const name = nameOf(task.library_id);
    const stops = isStopping(task);
    const rate = stops ? null : rateOf(task);
    row.toggleAttribute("data-stopping", stops);
    showLong(row, "name", name);
    show(row, "state", stops ? `${words.ending(task)}, stopping…` : "");
    showLong(row, "scope", words.scope(task.scope));
    show(row, "attempt", task.attempt > 1 ? `attempt ${words.number(task.attempt)}` : "");
    fillBar(part(row, "bar"), name, task.progress);
    say(part(row, "progress"), words.progress(task.progress));
    show(row, "rate", rate === null ? "" : words.rate(rate));
    sayTime(part(row, "started"), task.started_at, words.ago(task.started_at), words.moment(task.started_at));
    showLong(row, "message", task.progress.message ?? "");
    nameButtons(row, name);
    for (const button of row.querySelectorAll("button")) {
      button.hidden = stops;
    }
  },
});

/** A bar without a value shows that something is going on, and that nobody knows how much is left. */
function fillBar(bar, name, { scanned_paths: scanned, total_paths: total }) {
  bar.setAttribute("aria-label", `Scan of ${words.isolate(name)}`);
  if (total) {
    bar.max = total;
    bar.value = Math.min(scanned, total);
  } else {
    bar.removeAttribute("value");
  }
}

export const pendingView = (nameOf, isFollowUp) => ({
  make: () =>
    make(
      "li",
      {},
      make(
        "div",
        { class: "line" },
        make("strong", {}, slot("bdi", "name")),
        slot("span", "priority", { class: "badge" }),
        slot("span", "follow-up", { class: "badge" }),
        slot("span", "scope", { class: "badge" }),
      ),
      make("div", { class: "line details" }, make("span", {}, "asked for ", slot("time", "created"))),
      make("div", { class: "buttons" }, makeButton("Cancel", " the waiting scan of ", "cancel")),
    ),
  fill(row, task) {
    const name = nameOf(task.library_id);
    showLong(row, "name", name);
    say(part(row, "priority"), `${task.priority} priority`);
    part(row, "priority").dataset.priority = task.priority;
    show(row, "follow-up", isFollowUp(task) ? "follow-up of the running scan" : "");
    showLong(row, "scope", words.scope(task.scope));
    sayTime(part(row, "created"), task.created_at, words.ago(task.created_at), words.moment(task.created_at));
    nameButtons(row, name);
  },
});

export const endedView = (nameOf) => ({
  make: () =>
    make(
      "li",
      {},
      make(
        "div",
        { class: "line" },
        make("strong", {}, slot("bdi", "name")),
        slot("span", "ending", { class: "badge" }),
        slot("span", "scope", { class: "badge" }),
      ),
      make(
        "div",
        { class: "line details" },
        slot("span", "result"),
        slot("span", "progress"),
        slot("span", "duration"),
        slot("time", "ended"),
      ),
      slot("p", "error", { class: "error", dir: "auto" }),
      make("details", { class: "error" }, slot("summary", "error-start", { dir: "auto" }), slot("p", "error-rest", { dir: "auto" })),
    ),
  fill(row, task) {
    const error = task.error ?? "";
    showLong(row, "name", nameOf(task.library_id));
    say(part(row, "ending"), words.ending(task));
    part(row, "ending").dataset.status = task.status;
    showLong(row, "scope", words.scope(task.scope));
    show(row, "result", words.result(task.result));
    show(row, "progress", task.started_at ? words.progress(task.progress) : "never started");
    show(row, "duration", task.started_at ? `in ${words.duration(task.started_at, task.completed_at)}` : "");
    sayTime(part(row, "ended"), task.completed_at, words.ago(task.completed_at), words.moment(task.completed_at));
    show(row, "error", error.length > LONG ? "" : error);
    say(part(row, "error-start"), error.length > LONG ? `${Array.from(error).slice(0, LONG).join("")}…` : "");
    say(part(row, "error-rest"), error.length > LONG ? error : "");
    row.querySelector("details").hidden = error.length <= LONG;
  },
});
