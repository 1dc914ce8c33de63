// The live page: takes listings and events from the server, and passes on what its user wants.

import * as api from "./api.js";
import { LiveTasks } from "./live.js";
import { News } from "./news.js";
import { Repeater } from "./repeater.js";
import { say } from "./rows.js";
import { Screen } from "./screen.js";
import { KEPT, Tasks } from "./tasks.js";
import * as words from "./words.js";

// Milliseconds:
const REST = 1000; // between two listings
const SELDOM = 10_000; // no event tells of a pause by somebody else, or of a history that is over
const TICK = 1000; // times and rates change by themselves
const NOTICE = 8000; // until what has worked is not news any more

const at = (id) => document.getElementById(id);

const tasks = new Tasks((task) => news.hasEnded(task, screen.nameOf(task.library_id)));
const screen = new Screen(tasks);
const news = new News(at("news"));
const live = new LiveTasks({ onOpen, onTask, onLost });
const listing = new Repeater(list, REST);

let isCurrent = false; // whether what is shown follows the events
let isPolled = false; // whether it is read again and again instead: the server refuses a stream

// --- from the server ---

/** Reads the lists again, soon: an event says how one task is, and not how many there are. */
function refresh() {
  if (!document.hidden && at("login").hidden) {
    listing.soon();
  }
}

async function list() {
  try {
    await (isCurrent ? listTasks() : listAll());
    screen.draw();
  } catch (error) {
    if (error.status === 401) {
      askForToken();
    } else {
      lose(error.status ? `The server is in trouble: ${error.message}.` : "The connection is lost.");
    }
  }
}

async function listTasks() {
  const [found, stats] = await Promise.all([api.listTasks(KEPT), api.getStats()]);
  tasks.merge(found, stats);
}

/** Begins, or goes on after an interruption: then the queue may be another one. */
async function listAll() {
  const isFollowed = live.isOpen; // before the lists are read, so that nothing is missed in between
  const [libraries, found, stats] = await Promise.all([api.listLibraries(), api.listTasks(KEPT), api.getStats()]);
  if (document.hidden) {
    return; // it was not when this began; all is read again when it is seen
  }
  screen.setLibraries(libraries);
  tasks.replace(found, stats);
  showPart("scans");
  isCurrent = isFollowed || !live.isWanted;
  isPolled = !isCurrent;
  say(at("connection"), isPolled ? "There are no live updates now: this is read again every few seconds." : "");
  if (!live.isWanted) {
    live.open(found.revision);
  }
}

function onTask(task) {
  if (tasks.apply(task)) {
    refresh();
  }
  screen.draw();
}

function onOpen() {
  if (!isCurrent) {
    refresh();
  }
}

function onLost() {
  if (!isPolled) {
    lose("The connection is lost.");
  }
  refresh(); // the token may be wanted again
}

function lose(reason) {
  if (isCurrent || isPolled || !at("connection").textContent) {
    say(at("connection"), `${reason} Trying again since ${words.moment(new Date())}…`);
  }
  isCurrent = false;
  isPolled = false;
}

function showPart(id) {
  at("login").hidden = id !== "login";
  for (const element of [at("scans"), at("parts"), at("log-out")]) {
    element.hidden = id !== "scans";
  }
}

function askForToken() {
  live.close();
  isCurrent = false;
  say(at("connection"), "");
  showPart("login");
  at("token").focus();
}

// --- from the user ---

/** Does what was asked for, and says what has come of it. */
async function attempt(action) {
  try {
    notify(await action(), false);
  } catch (error) {
    if (error.status === 401) {
      askForToken();
    } else {
      notify(`That did not work: ${error.message}.`, true);
    }
  }
}

let noticeTimer = null;

/** Says something for a while; what did not work, until there is something else to say. */
function notify(text, isFailure) {
  clearTimeout(noticeTimer);
  at("notice").textContent = text ?? "";
  at("notice").classList.toggle("failed", isFailure);
  if (!isFailure) {
    noticeTimer = setTimeout(() => say(at("notice"), ""), NOTICE);
  }
}

const ACTIONS = {
  scan: ({ libraryId }) => requestScan(libraryId, {}),
  deep: ({ libraryId }) => requestScan(libraryId, { deep: true }),
  again: ({ task }) => requestScan(task.library_id, { deep: task.scope.deep, when_running: "follow_up" }),
  cancel: async ({ task }) => {
    await api.cancel(task.id);
    return `${words.isolate(screen.nameOf(task.library_id))}: cancelled.`;
  },
};

async function requestScan(libraryId, request) {
  const submission = await api.scan(libraryId, request);
  return words.outcome(screen.nameOf(libraryId), submission);
}

at("scans").addEventListener("click", (event) => {
  const button = event.target.closest("[data-action]");
  if (button) {
    const { key } = button.closest("[data-key]").dataset;
    const task = tasks.find(key);
    attempt(() => ACTIONS[button.dataset.action](task ? { task } : { libraryId: JSON.parse(key) }));
  }
});

at("pause").addEventListener("click", () =>
  attempt(async () => {
    tasks.stats = await (tasks.stats.paused ? api.resume() : api.pause());
    screen.draw();
    return tasks.stats.paused ? "The queue is paused." : "The queue goes on.";
  }),
);

at("find-text").addEventListener("input", () => screen.draw());

at("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    at("login-error").textContent = "";
    await api.logIn(at("token").value);
    at("token").value = "";
    showPart("scans");
    at("libraries-heading").focus();
    refresh();
  } catch (error) {
    at("login-error").textContent = `That did not work: ${error.message}.`;
    at("token").select();
  }
});

at("log-out").addEventListener("click", () =>
  attempt(async () => {
    await api.logOut();
    location.reload(); // so that nothing stays behind
  }),
);

// A hidden page lets go of its stream: a browser opens six to a server, and servers have their limits.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    live.close();
    isCurrent = false;
  } else {
    refresh();
  }
});

setInterval(() => screen.draw(), TICK);
setInterval(refresh, SELDOM);
refresh();
