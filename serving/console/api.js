// The service, asked with the key of this tab. The key is in the session storage and in one header, and nowhere else.

const KEY = "foretier-key";

const memory = new Map();

/** Read what the browser keeps; where it may keep nothing, what this page remembers. */
export function kept(name, store = "sessionStorage") {
  try {
    return window[store].getItem(name);
  } catch {
    return memory.get(name) ?? null;
  }
}

/** Keep a text, or forget it where it is null. */
export function keep(name, text, store = "sessionStorage") {
  memory.set(name, text);
  try {
    if (text === null) window[store].removeItem(name);
    else window[store].setItem(name, text);
  } catch {
    // The browser may keep nothing: this page remembers.
  }
}

export const signedIn = () => kept(KEY) !== null;
export const signIn = (key) => keep(KEY, key);
export const signOut = () => keep(KEY, null);

/** What the service said no to: its status, code and message, and the seconds to wait where it tells them. */
export class Refused extends Error {
  constructor(status, code, message, seconds) {
    super(message);
    Object.assign(this, { status, code, seconds });
  }
}

/** Ask for a path; `parameters` that are null, "" or false are left out, lists are given several times. */
export async function ask(path, parameters = {}, body = undefined) {
  const answer = await send(path, parameters, body);
  return answer.json();
}

/** Ask for a file and save it; gives its name. */
export async function download(path, parameters = {}) {
  const answer = await send(path, parameters);
  const named = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") ?? "");
  const name = named ? named[1] : "foretier";
  const address = URL.createObjectURL(await answer.blob());
  const link = document.createElement("a");
  Object.assign(link, { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
  return name;
}

async function send(path, parameters, body) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) if (one !== null && one !== undefined && one !== "" && one !== false) query.append(name, one);
  }
  const headers = {};
  if (signedIn()) headers.authorization = `Bearer ${kept(KEY)}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  let answer;
  try {
    answer = await fetch(query.size ? `${path}?${query}` : path, {
      method: body === undefined ? "GET" : "POST",
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
    });
  } catch {
    throw new Refused(0, "unreachable", "", 0);
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => null);  // a proxy may answer in words of its own
  const { code = "unknown", message = `${answer.status} ${answer.statusText}` } = told?.error ?? {};
  throw new Refused(answer.status, code, message, Number(answer.headers.get("retry-after") ?? 0));
}

/** The address of a customer, whatever the id holds. */
export const customerPath = (id) => `/v1/customers/${encodeURIComponent(id)}`;
export const customerPage = (id) => `#/customer/${encodeURIComponent(id)}`;
