// Says numbers, times and tasks in words.

const NUMBER = new Intl.NumberFormat("en");
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const ABSOLUTE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const UNITS = [["day", 86_400], ["hour", 3_600], ["minute", 60]];

export const number = (value) => NUMBER.format(value);

/** "1 item", "12,345 items" */
export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

/** A name inside a sentence, which it leaves in order when it runs from right to left. */
export const isolate = (name) => `\u2068${name}\u2069`;

/** "5 min. ago"; a clock that is a bit ahead is no reason to speak of the future. */
export function ago(moment, now = Date.now()) {
  const seconds = (now - Date.parse(moment)) / 1000;
  for (const [unit, length] of UNITS) {
    if (seconds >= length) {
      return RELATIVE.format(-Math.floor(seconds / length), unit);
    }
  }
  return seconds >= 5 ? RELATIVE.format(-Math.floor(seconds), "second") : "just now";
}

export const moment = (text) => ABSOLUTE.format(new Date(text));

/** How long it took: "0.6 s", "1 min 5 s", "2 h 10 min" */
export function duration(from, to) {
  const seconds = Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000);
  if (seconds < 10) {
    return seconds < 0.1 ? "less than 0.1 s" : `${seconds.toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  if (hours) {
    return `${number(hours)} h ${minutes} min`;
  }
  return minutes ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}

/** "12,345 items", or "12 of 345 items (3 %)" when it is known how many there are */
export function progress({ scanned_paths: scanned, total_paths: total }) {
  if (total === null) {
    return count(scanned, "item");
  }
  const share = total ? ` (${Math.min(100, Math.floor((100 * scanned) / total))} %)` : "";
  return `${number(scanned)} of ${count(total, "item")}${share}`;
}

/** "52 items/s" */
export const rate = (value) => `${value < 10 ? Number(value.toFixed(1)) : number(Math.round(value))} items/s`;

/** "deep, 3 folders"; nothing for an ordinary scan of everything */
export function scope({ deep, paths }) {
  const parts = [];
  if (deep) {
    parts.push("deep");
  }
  if (paths.length) {
    parts.push(paths.length === 1 ? `only ${isolate(paths[0])}` : `only ${count(paths.length, "path")}`);
  }
  return parts.join(", ");
}

/** "3 added, 1 removed"; what there is none of is left out. */
export function result(found) {
  if (!found) {
    return "";
  }
  const parts = ["added", "updated", "removed", "failed"]
    .filter((kind) => found[`${kind}_count`])
    .map((kind) => `${number(found[`${kind}_count`])} ${kind}`);
  return parts.join(", ") || "no changes";
}

const ENDINGS = {
  requested: "Cancelled",
  shutdown: "Cancelled by a shutdown",
  error: "Failed",
  unavailable: "Not available",
  interrupted: "Interrupted",
};

/** How a task has ended. */
export const ending = (task) => ENDINGS[task.reason] ?? "Completed";

/** What a request for a scan has led to. */
export function outcome(name, { outcome: what, task }) {
  const said = {
    created: "added to the queue",
    joined: task.status === "running" ? "is being scanned already" : "is in the queue already",
    upgraded: "was in the queue; it is more urgent now, or covers more",
    follow_up: "will be scanned again, after the scan that is running",
  };
  return `${isolate(name)}: ${said[what]}.`;
}
