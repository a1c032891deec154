// Asks the gateway, and tells it of clicks.

const PATIENCE_MS = 15_000;

/** Why there is no answer. `status` is 0 when nobody answered; `retryAfter` in seconds, or null. */
export class Problem extends Error {
  constructor(status, field, message, retryAfter = null) {
    super(message);
    Object.assign(this, { status, field, retryAfter });
  }
}

/** A random key of this tab's visit: keeps an experiment's arm the same; the gateway only ever hashes it. */
function sessionKey() {
  try {
    let key = sessionStorage.getItem("session-key");
    if (!key) {
      key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
      sessionStorage.setItem("session-key", key);
    }
    return key;
  } catch {
    return "";
  }
}

/** The answer to one query, and the id it was answered under. Raises Problem; AbortError when `signal` says so. */
export async function ask(parameters, signal, { anonymous = false } = {}) {
  const key = anonymous ? "" : sessionKey();
  let response;
  let body;
  try {
    response = await fetch(`search?${parameters}`, {
      headers: key ? { "X-Session-Key": key } : {},
      cache: "no-store",
      signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]),
    });
    body = await response.text();
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Problem(0, "network", error.name === "TimeoutError" ? "timeout" : "unreachable");
  }
  let told;
  try {
    told = JSON.parse(body);
  } catch {
    told = null;
  }
  if (response.ok && told && Array.isArray(told.hits)) {
    return { answer: told, searchId: told.search_id ?? response.headers.get("X-Request-Id") ?? "" };
  }
  const seconds = Number(response.headers.get("Retry-After"));
  throw new Problem(
    response.ok ? 0 : response.status,
    typeof told?.field === "string" ? told.field : "",
    typeof told?.error === "string" ? told.error : `HTTP ${response.status}`,
    response.status === 503 && seconds > 0 ? Math.min(Math.ceil(seconds), 3600) : null,
  );
}

/** Tells of a click on a hit. Survives leaving the page; when it doesn't arrive nobody is bothered. */
export function reportClick(searchId, id, rank) {
  try {
    const click = new Blob([JSON.stringify({ search_id: searchId, id, rank })], { type: "application/json" });
    navigator.sendBeacon?.("click", click);
  } catch {
    // A click that isn't counted is no reason to disturb who clicked.
  }
}
