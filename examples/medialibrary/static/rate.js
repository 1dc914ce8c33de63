// How fast scans are.

const WINDOW = 10_000; // milliseconds: short enough to see a change, long enough to be calm
const LEAST = 1_000; // milliseconds before there is anything to say

/** Remembers what scans have counted of late. Times are those of `performance.now()`. */
export class Rates {
  #samples = new Map();

  /** Remembers the progress of the running tasks, and forgets all others. */
  update(tasks, now) {
    for (const task of tasks) {
      this.#add(task, now);
    }
    const ids = new Set(tasks.map((task) => task.id));
    for (const id of this.#samples.keys()) {
      if (!ids.has(id)) {
        this.#samples.delete(id);
      }
    }
  }

  /** Returns the items per second of a task, or null while nothing can be said. */
  of(task, now) {
    const samples = this.#samples.get(task.id);
    if (!samples || samples.length < 2 || now - samples[0].time < LEAST) {
      return null;
    }
    return (samples.at(-1).count - samples[0].count) / ((now - samples[0].time) / 1000);
  }

  #add(task, now) {
    const count = task.progress.scanned_paths;
    const samples = this.#samples.get(task.id);
    const last = samples?.at(-1);
    // A new attempt begins again, and a scanner may correct itself.
    if (!last || count < last.count) {
      this.#samples.set(task.id, [{ count, time: now }]);
    } else if (count === 0) {
      last.time = now; // it has not begun to count: it lists the files, say
    } else if (count > last.count) {
      samples.push({ count, time: now });
      // The last one that is older stays: the window begins there.
      while (samples.length > 2 && samples[1].time < now - WINDOW) {
        samples.shift();
      }
    }
  }
}
