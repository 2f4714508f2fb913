/**
 * What a model may put on the page: text, lists, tables, code and links; nothing that loads, runs,
 * asks or has a name. DOMPurify does the work, by this list of what is allowed.
 *
 * - No pictures, media, frames, forms, styles, SVG or MathML, and no attribute but those below.
 *   `id` and `name` would let it shadow the page's own names (DOM clobbering).
 * - `class` only as `language-…` on code. Links only to http, https and mailto, in a new tab that
 *   knows nothing of this one.
 *
 * Where the browser has Trusted Types the result is a `TrustedHTML`: the policy of DOMPurify is the
 * only one that the page's Content-Security-Policy admits, so that nothing else can become HTML.
 *
 * @license Apache-2.0
 */
import createDOMPurify from "../vendor/purify.js";

const TAGS = [
  ...["a", "b", "blockquote", "br", "code", "del", "em", "h3", "h4", "h5", "h6", "hr", "i", "kbd"],
  ...["li", "ol", "p", "pre", "s", "strong", "sub", "sup"],
  ...["table", "tbody", "td", "th", "thead", "tr", "ul"],
];
const ATTRIBUTES = ["align", "class", "href", "start", "title"];
const LANGUAGE = /^language-[\w+#.-]{1,32}$/;
const RULES = {
  ALLOWED_TAGS: TAGS,
  ALLOWED_ATTR: ATTRIBUTES,
  ALLOWED_NAMESPACES: ["http://www.w3.org/1999/xhtml"],
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  ADD_URI_SAFE_ATTR: ["align", "start"], // they hold no address, and are not read as one
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_TRUSTED_TYPE: true,
};

const purify = createDOMPurify(window);
purify.setConfig(RULES); // once: given with each text, it is read anew each time
purify.addHook("afterSanitizeAttributes", finish);

/**
 * HTML that may be shown.
 * @param {string} html From anywhere.
 * @returns {string} Or a `TrustedHTML`, which is one to `innerHTML`.
 */
export const safeHTML = (html) => purify.sanitize(html);

/** What the house adds, and the one attribute that not every tag may have. */
function finish(element) {
  const name = element.localName;
  if (name !== "code" || !LANGUAGE.test(element.className)) element.removeAttribute("class");
  if (name === "pre" || name === "table") element.setAttribute("tabindex", "0"); // they may scroll
  if (name === "a" && element.hasAttribute("href")) {
    element.setAttribute("target", "_blank");
    element.setAttribute("rel", "noopener noreferrer nofollow");
  }
}
