// What the page knows of the queue. It knows nothing of the page.

/** How many tasks of each list are kept: more than are shown, so that there is a next one. */
export const KEPT = 100;

const URGENCY = { low: -1, normal: 0, high: 1 };

/**
 * The tasks that are running, pending and over.
 *
 * The server says in which order they are, and how many there are in all. An event says how one task
 * is now, and puts it where it will most likely be: the next listing has the last word.
 */
export class Tasks {
  #revision = 0;
  #onEnd;

  running = [];
  pending = [];
  history = [];
  stats = null;

  /** `onEnd(task)` is called once for each task that is over now and was not before. */
  constructor(onEnd) {
    this.#onEnd = onEnd;
  }

  /** Takes over a listing, and forgets everything else: the queue may be another one. */
  replace(listing, stats) {
    const active = new Set([...this.running, ...this.pending].map((task) => task.id));
    this.running = listing.running;
    this.pending = listing.pending;
    this.history = listing.history;
    this.stats = stats;
    this.#revision = listing.revision;
    this.history.filter((task) => active.has(task.id)).forEach(this.#onEnd);
  }

  /** Takes over a listing, but for what events have said since it was made. */
  merge(listing, stats) {
    const newer = this.all().filter((task) => task.revision > listing.revision);
    this.replace(listing, stats);
    for (const task of newer.sort((one, other) => one.revision - other.revision)) {
      this.#put(task);
    }
  }

  /** Takes over the present state of one task; returns whether its place may be another one now. */
  apply(task) {
    const before = this.find(task.id);
    // A listing has seen all that is below its revision.
    if (task.revision <= this.#revision || !this.#put(task)) {
      return false;
    }
    if (isEnded(task) && !(before && isEnded(before))) {
      this.#onEnd(task);
    }
    return task.status !== before?.status || task.priority !== before.priority;
  }

  /** Puts a task where it belongs, unless there is a newer state of it. */
  #put(task) {
    const before = this.find(task.id);
    if (before?.revision >= task.revision) {
      return false;
    }
    this.#revision = task.revision;
    const list = this.#listOf(task);
    if (before && list === this.#listOf(before) && before.priority === task.priority) {
      list[list.indexOf(before)] = task;
      return true;
    }
    if (before) {
      const old = this.#listOf(before);
      old.splice(old.indexOf(before), 1);
    }
    list.splice(this.#placeOf(task, list), 0, task);
    list.length = Math.min(list.length, KEPT);
    return true;
  }

  all() {
    return [...this.running, ...this.pending, ...this.history];
  }

  find(id) {
    return this.all().find((task) => task.id === id);
  }

  /** The scans that are at work, those that have been cancelled and have not stopped yet among them. */
  working() {
    return [...this.running, ...this.history.filter(isStopping)];
  }

  /** The tasks that are over, and whose scans have stopped. */
  ended() {
    return this.history.filter((task) => !isStopping(task));
  }

  /** How many tasks there are of some statuses, of which `kept` is what the page has. */
  total(kept, ...statuses) {
    // A whole list is better than the statistics, which were made at another moment.
    const counted = statuses.reduce((sum, status) => sum + (this.stats?.[status] ?? 0), 0);
    return kept.length < KEPT ? kept.length : Math.max(counted, kept.length);
  }

  #listOf(task) {
    return { running: this.running, pending: this.pending }[task.status] ?? this.history;
  }

  #placeOf(task, list) {
    if (list === this.history) {
      return 0;
    }
    const urgency = URGENCY[task.priority];
    const behind = list.findIndex((other) => URGENCY[other.priority] < urgency);
    return list === this.running || behind < 0 ? list.length : behind;
  }
}

const isEnded = (task) => !["running", "pending"].includes(task.status);

/** Whether a task is cancelled, and its scanner has not returned yet. */
export function isStopping(task) {
  return task.holds_slot && isEnded(task);
}
