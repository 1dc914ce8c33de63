// Reads out what has happened, without chattering.

import { count, ending, isolate, result } from "./words.js";

const PAUSE = 1500; // milliseconds, in which news are gathered
const MANY = 3; // more than these are only counted

/** Says which scans have ended, in an element that screen readers read out when its text changes. */
export class News {
  #element;
  #gathered = [];
  #timer = null;

  constructor(element) {
    this.#element = element;
  }

  /** Says that a task of a library has ended. */
  hasEnded(task, name) {
    const found = task.status === "completed" ? `, ${result(task.result)}` : "";
    this.#gathered.push(`Scan of ${isolate(name)}: ${ending(task)}${found}.`);
    this.#timer ??= setTimeout(() => this.#tell(), PAUSE);
  }

  #tell() {
    const all = this.#gathered;
    this.#gathered = [];
    this.#timer = null;
    this.#element.textContent =
      all.length > MANY ? `${count(all.length, "scan has", "scans have")} ended.` : all.join(" ");
  }
}
