// Keeps lists of rows on the page as they should be, with as few changes as possible.

/** Makes an element: `make("p", { class: "error" }, "text", another)`. Text stays text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Sets a text, if it is another one: an untouched text keeps its selection, and is not read again. */
export function say(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** A button that says to everybody what it does, and to screen readers also to what. */
export function makeButton(label, suffix, action) {
  return make("button", { type: "button", "data-action": action }, label, make("span", { class: "unseen" }, suffix, make("bdi")));
}

/** Names the one that the buttons of a row are about. */
export function nameButtons(row, name) {
  for (const bdi of row.querySelectorAll("button bdi")) {
    say(bdi, name);
  }
}

/** Has a `<time>` say a moment. */
export function sayTime(element, iso, text, title) {
  say(element, text);
  if (element.dateTime !== iso) {
    element.dateTime = iso;
    element.title = title;
  }
}

/**
 * Has a list show some items, each in a row of its own, in their order.
 *
 * `view.make()` returns an empty row, and `view.fill(row, item)` has it show an item. An item keeps its
 * row, so only what is different is touched.
 */
export function showRows(list, items, keyOf, view) {
  const rows = new Map(Array.from(list.children, (row) => [row.dataset.key, row]));
  let place = list.firstElementChild;
  const wanted = new Set(items.map((item) => String(keyOf(item))));
  for (const item of items) {
    const key = String(keyOf(item));
    const row = rows.get(key) ?? view.make();
    row.dataset.key = key;
    view.fill(row, item);
    while (place && !wanted.has(place.dataset.key)) {
      const gone = place;
      place = place.nextElementSibling;
      gone.remove();
    }
    if (row === place) {
      place = place.nextElementSibling;
    } else {
      list.insertBefore(row, place);
    }
  }
  while (place) {
    const gone = place;
    place = place.nextElementSibling;
    gone.remove();
  }
}

/**
 * Calls `change`, which moves and removes rows, and keeps the focus where its user would look for it.
 *
 * It stays with the item, also in another list. If the item is gone, it goes to the heading of the list,
 * and not to the button of another row: a key that is pressed once more would cancel that one, too.
 */
export function keepFocus(change) {
  const focused = document.activeElement;
  const row = focused?.closest("[data-key]");
  const list = row?.parentElement;
  change();
  if (!row || document.activeElement === focused) {
    return;
  }
  const same = focused.isConnected && !focused.hidden ? focused : null;
  const action = `[data-action="${focused.dataset.action}"]`;
  const next =
    same ??
    document.querySelector(`[data-key="${CSS.escape(row.dataset.key)}"] ${action}:not([hidden])`) ??
    list.closest("section").querySelector("h2");
  next.focus({ preventScroll: next === same });
}
