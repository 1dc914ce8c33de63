// Speaks with the server: see API.md.

/** An answer that is an error, or none at all (`status` is 0). */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Asks the server, and returns the JSON that it answers; null when there is none. */
async function ask(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      cache: "no-store",
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new ApiError(0, "the server cannot be reached");
  }
  // A proxy in between may answer with whatever it likes.
  const answer = await response.json().catch(() => null);
  if (!response.ok) {
    throw new ApiError(response.status, answer?.detail ?? answer?.title ?? `status ${response.status}`);
  }
  return answer;
}

export const listLibraries = () => ask("GET", "/api/libraries");
export const listTasks = (limit) => ask("GET", `/api/scan-tasks?limit=${limit}`);
export const getStats = () => ask("GET", "/api/scan-queue");
export const pause = () => ask("POST", "/api/scan-queue/pause");
export const resume = () => ask("POST", "/api/scan-queue/resume");
export const cancel = (taskId) => ask("DELETE", `/api/scan-tasks/${taskId}`);
export const logIn = (token) => ask("POST", "/api/session", { token });
export const logOut = () => ask("DELETE", "/api/session");

/** Asks for a scan; `request` may have `deep` and `when_running`. */
export const scan = (libraryId, request) =>
  ask("POST", `/api/libraries/${encodeURIComponent(libraryId)}/scan`, request);
