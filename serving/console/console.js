// The console: which page is shown, in which language, and with which key.

import { Refused, signIn, signOut, signedIn } from "./api.js";
import { field, h, show } from "./dom.js";
import { customerPageOf } from "./customer.js";
import { listPage } from "./list.js";
import { modelPage } from "./model.js";
import { tiersPage } from "./tiers.js";
import { speak, word } from "./words.js";

const LANGUAGE = "foretier-language";
const PAGES = { tiers: tiersPage, list: listPage, customer: customerPageOf, model: modelPage };

/** The page that the address asks for, and what is behind its name; an id may hold anything, percent-encoded. */
function asked() {
  const [, page, ...rest] = location.hash.split("/");
  const known = page in PAGES ? page : "tiers";
  try {
    return [known, rest.length ? decodeURIComponent(rest.join("/")) : undefined];
  } catch {
    return [known, undefined];
  }
}

let turn = 0;

async function go({ focus = true } = {}) {
  const mine = ++turn;
  const [page, parameter] = asked();
  mark(page);
  show(h("p", { class: "quiet" }, word("loading")));
  try {
    await PAGES[page](parameter);
  } catch (error) {
    if (mine === turn) refused(error);
  }
  document.title = `${word(page)} · Foretier`;
  if (focus && mine === turn) document.querySelector("#main h1")?.focus();
}

function mark(page) {
  document.getElementById("pages").replaceChildren(
    ...Object.keys(PAGES).map((name) => h("a", { href: `#/${name}`, "aria-current": name === page ? "page" : null }, word(name))),
  );
  document.getElementById("sign-out").hidden = !signedIn();
}

function refused(error) {
  if (!(error instanceof Refused)) throw error;
  if (error.status === 401) {
    const wrong = signedIn();
    signOut();
    mark(asked()[0]);
    show(signInForm(wrong ? word("wrongKey") : null));
    document.querySelector("#main input").focus();
    return;
  }
  const said =
    error.status === 0 ? word("unreachable")
    : error.status === 403 ? `${word("forbidden")} ${error.message}`
    : error.status === 429 || error.code === "overloaded" ? word("busy", { seconds: error.seconds || 1 })
    : error.status === 503 ? `${word("unready")} ${error.message}`
    : error.message;
  show(h("h1", { tabindex: -1 }, word(asked()[0])), h("p", { class: "fault", role: "alert" }, said), h("button", { type: "button", onclick: () => go() }, word("again")));
}

function signInForm(fault) {
  const input = h("input", { type: "password", name: "key", autocomplete: "off", required: true, spellcheck: "false" });
  async function submit(event) {
    event.preventDefault();
    signIn(input.value);
    input.value = "";
    await go();
  }
  return h(
    "form",
    { class: "panel sign-in", onsubmit: submit },
    h("h1", { tabindex: -1 }, word("signIn")),
    fault ? h("p", { class: "fault", role: "alert" }, fault) : null,
    field(word("key"), input, word("keyHint")),
    h("button", { type: "submit", class: "main" }, word("signIn")),
  );
}

const select = document.getElementById("language");
select.value = localStorage.getItem(LANGUAGE) ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
select.addEventListener("change", () => {
  localStorage.setItem(LANGUAGE, select.value);
  speak(select.value);
  go({ focus: false });
});
document.getElementById("sign-out").addEventListener("click", () => {
  signOut();
  go();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
addEventListener("hashchange", () => go());
speak(select.value);
go({ focus: false });
