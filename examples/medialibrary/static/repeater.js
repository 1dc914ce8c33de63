// Calls something often enough, and not too often.

/** Calls an asynchronous function, never twice at a time, with a rest (in milliseconds) in between. */
export class Repeater {
  #action;
  #rest;
  #isWanted = false;
  #isBusy = false;

  constructor(action, rest) {
    this.#action = action;
    this.#rest = rest;
  }

  /** Has it called at once, or when the rest is over. What is asked for meanwhile is one more call. */
  async soon() {
    this.#isWanted = true;
    if (this.#isBusy) {
      return;
    }
    this.#isBusy = true;
    while (this.#isWanted) {
      this.#isWanted = false;
      await this.#action();
      await new Promise((resolve) => setTimeout(resolve, this.#rest));
    }
    this.#isBusy = false;
  }
}
