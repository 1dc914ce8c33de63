// How fast scans are.

const WINDOW = 10_000; // milliseconds: short enough to see a change, long enough to be calm
const LEAST = 1_000; // milliseconds before there is anything to say

/** Remembers what scans have counted of late. Times are those of `performance.now()`. */
export class Rates {
  #samples = new Map();

  /** Remembers the progress of a running task. */
  add(task, now) {
    const count = task.progress.scanned_paths;
    const found = this.#samples.get(task.id);
    const last = found?.samples.at(-1);
    // A new attempt begins again, and a scanner may correct itself.
    if (!last || found.attempt !== task.attempt || count < last.count) {
      this.#samples.set(task.id, { attempt: task.attempt, samples: [{ count, time: now }] });
    } else if (count === last.count && found.samples.length === 1) {
      last.time = now; // it has not begun to count: it lists the files, say
    } else if (count > last.count) {
      found.samples.push({ count, time: now });
      // The last one that is older stays: the window begins there.
      while (found.samples.length > 2 && found.samples[1].time < now - WINDOW) {
        found.samples.shift();
      }
    }
  }

  /** Returns the items per second of a task, or null while nothing can be said. */
  of(task, now) {
    const samples = this.#samples.get(task.id)?.samples;
    if (!samples || samples.length < 2 || now - samples[0].time < LEAST) {
      return null;
    }
    return (samples.at(-1).count - samples[0].count) / ((now - samples[0].time) / 1000);
  }

  /** Forgets all tasks but these. */
  keep(tasks) {
    const ids = new Set(tasks.map((task) => task.id));
    for (const id of this.#samples.keys()) {
      if (!ids.has(id)) {
        this.#samples.delete(id);
      }
    }
  }
}
