// The console: which page is shown, in which language, and with which key.

import { Refused, kept, keep, signIn, signOut, signedIn } from "./api.js";
import { field, h, refusalWords, show } from "./dom.js";
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
  const known = Object.hasOwn(PAGES, page ?? "") ? page : "tiers";
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
  // A page that was left while it was being asked for is not shown any more.
  const current = () => mine === turn;
  try {
    await PAGES[page](parameter, current);
  } catch (error) {
    if (current()) refused(error);
  }
  if (!current()) return;
  document.title = `${word(page)} · Foretier`;
  if (focus) document.querySelector("#main h1")?.focus();
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
  show(h("h1", { tabindex: -1 }, word(asked()[0])), h("p", { class: "fault", role: "alert" }, refusalWords(error)), h("button", { type: "button", onclick: () => go() }, word("again")));
}

function signInForm(fault) {
  const input = h("input", { type: "password", name: "key", autocomplete: "off", required: true, spellcheck: "false" });
  async function submit(event) {
    event.preventDefault();
    const key = input.value.trim();
    input.value = "";
    if (!/^[\x21-\x7e]+$/.test(key)) {
      show(signInForm(word("wrongKey"))); // no header can carry it
      document.querySelector("#main input").focus();
      return;
    }
    signIn(key);
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
select.value = kept(LANGUAGE, "localStorage") ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
select.addEventListener("change", () => {
  keep(LANGUAGE, select.value, "localStorage");
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
addEventListener("foretier-signed-out", () => go());
speak(select.value);
go({ focus: false });
