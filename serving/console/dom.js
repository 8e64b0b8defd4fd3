// Elements, built of text alone: nothing that a customer wrote is ever read as markup.

import { hasWord, word } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "rect", "line", "circle", "text", "title", "g", "path"]);

/** Make an element: attributes by name, `on...` as listeners, children as nodes or text; null and false are left out. */
export function h(tag, attributes = {}, ...children) {
  const node = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) node.style.setProperty(key, one);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Show a customer's own text: direction isolated, controls and marks that would hide or turn letters made visible. */
export function exact(text) {
  const shown = text.replace(/[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, (letter) => {
    const code = letter.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : `⟨${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
  return h("bdi", { class: "id" }, shown === "" ? "∅" : shown);
}

/** Say why the service said no, in the language of the page where we have words for it. */
export function refusalWords(error) {
  if (error.status === 0) return word("unreachable");
  if (error.status === 403) return `${word("forbidden")} ${error.message}`;
  if (error.status === 429 || error.code === "overloaded") return word("busy", { seconds: error.seconds || 1 });
  if (error.status === 503) return `${word("unready")} ${error.message}`;
  return hasWord(error.code) ? word(error.code) : error.message;
}

/** Show a refusal within a page; who is no longer signed in is sent to the form. Anything else is a fault of ours. */
export function complaint(error) {
  if (error.status === undefined) throw error;
  if (error.status === 401) dispatchEvent(new Event("foretier-signed-out"));
  return h("p", { class: "fault", role: "alert" }, refusalWords(error));
}

/** Put a page into the main part. */
export function show(...nodes) {
  document.getElementById("main").replaceChildren(...nodes.flat(Infinity).filter(Boolean));
}

/** Say something to those who hear the page. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

/** A column of label and control. */
export function field(label, control, hint) {
  return h("label", { class: "field" }, h("span", {}, label), control, hint ? h("small", { class: "quiet" }, hint) : null);
}
