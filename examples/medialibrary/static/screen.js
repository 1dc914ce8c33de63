// Draws what the page knows.

import { Rates } from "./rate.js";
import { keepFocus, say, showRows } from "./rows.js";
import { isStopping } from "./tasks.js";
import { endedView, libraryView, pendingView, runningView } from "./views.js";
import * as words from "./words.js";

const SHOWN = 50; // rows of a list: thousands would be slow, and nobody reads them
const SHOWN_LIBRARIES = 25; // from here on, a field to find one is of use

const at = (id) => document.getElementById(id);

/** The part of the page that shows the libraries and the tasks. */
export class Screen {
  #tasks;
  #rates = new Rates();
  #libraries = [];
  #names = new Map();
  #frame = 0;
  #states = new Map();
  #views;

  constructor(tasks) {
    this.#tasks = tasks;
    const nameOf = (id) => this.nameOf(id);
    this.#views = {
      library: libraryView((id) => this.#states.get(id) ?? ""),
      running: runningView(nameOf, (task) => this.#rates.of(task, performance.now())),
      pending: pendingView(nameOf, (task) => tasks.running.some((other) => other.library_id === task.library_id)),
      ended: endedView(nameOf),
    };
  }

  nameOf(id) {
    return this.#names.get(id) ?? `library ${id}`;
  }

  setLibraries(libraries) {
    this.#libraries = libraries;
    this.#names = new Map(libraries.map(({ id, name }) => [id, name]));
  }

  /** Draws with the next frame; so a thousand events are drawn once. */
  draw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      keepFocus(() => this.#draw());
    });
  }

  #draw() {
    const tasks = this.#tasks;
    const working = tasks.working();
    const ended = tasks.ended();
    const paused = tasks.stats?.paused ?? false;
    this.#rates.update(tasks.running, performance.now());
    this.#states = libraryStates(working, tasks.pending);

    this.#drawLibraries();
    drawList("running", working, working.length, "Nothing is being scanned.", this.#views.running);
    drawList("queue", tasks.pending, tasks.total(tasks.pending, "pending"), "The queue is empty.", this.#views.pending);
    const stopping = tasks.history.length - ended.length;
    const all = tasks.total(tasks.history, "completed", "failed", "cancelled") - stopping;
    drawList("history", ended, all, "Nothing has ended of late.", this.#views.ended);
    at("paused").hidden = !paused;
    say(at("pause"), paused ? "Resume the queue" : "Pause the queue");
  }

  #drawLibraries() {
    const text = at("find-text").value.trim().toLocaleLowerCase();
    const found = this.#libraries.filter(({ name }) => name.toLocaleLowerCase().includes(text));
    const shown = found.slice(0, SHOWN_LIBRARIES);
    at("find").hidden = this.#libraries.length <= SHOWN_LIBRARIES;
    say(at("libraries-count"), words.number(this.#libraries.length));
    showRows(at("libraries-rows"), shown, ({ id }) => JSON.stringify(id), this.#views.library);
    const empty = text ? "No library has this in its name." : "There are no libraries.";
    say(at("libraries-rest"), rest(shown.length, found.length, empty));
  }
}

function drawList(id, items, total, empty, view) {
  const shown = items.slice(0, SHOWN);
  say(at(`${id}-count`), words.number(total));
  showRows(at(`${id}-rows`), shown, (task) => task.id, view);
  say(at(`${id}-rest`), rest(shown.length, total, empty));
}

function rest(shown, total, empty) {
  if (!total) {
    return empty;
  }
  return total > shown ? `… and ${words.number(total - shown)} more` : "";
}

/** What is to be said of each library that has something to do. */
function libraryStates(working, pending) {
  const states = new Map(pending.map((task) => [task.library_id, "in the queue"]));
  for (const task of working) {
    const now = isStopping(task) ? "stopping" : "scanning";
    states.set(task.library_id, states.has(task.library_id) ? `${now}, then again` : now);
  }
  return states;
}
