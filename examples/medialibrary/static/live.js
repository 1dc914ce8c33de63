// Follows the changes of the server, for as long as the page is open.

const RETRY = 3000; // milliseconds

/**
 * A stream of server-sent events that comes back whenever it breaks.
 *
 * `EventSource` connects again by itself, and says with `Last-Event-ID` where it was. It gives up
 * when the answer is an error (401, 429, or 502 from a proxy whose server restarts): then a new one
 * is opened here, which begins behind the last event that the old one has seen.
 */
export class LiveTasks {
  #handlers;
  #source = null;
  #timer = null;
  #after = null;

  /** `handlers`: `onOpen()`, `onTask(task)` and `onLost()`. */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  get isOpen() {
    return this.#source?.readyState === EventSource.OPEN;
  }

  get isWanted() {
    return this.#source !== null;
  }

  /** Opens the stream: where it was when it was closed, else behind a revision. */
  open(revision) {
    this.close();
    this.#after ??= revision;
    const source = new EventSource(`/api/scan-tasks/events?after=${this.#after}`);
    source.onopen = () => this.#handlers.onOpen();
    source.onmessage = (event) => {
      this.#after = event.lastEventId;
      this.#handlers.onTask(JSON.parse(event.data));
    };
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) {
        this.#timer = setTimeout(() => this.open(), RETRY);
      }
      this.#handlers.onLost();
    };
    this.#source = source;
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }
}
