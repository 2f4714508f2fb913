/**
 * preact, its hooks and htm as one module: what the pages import. The files beside it are vendored
 * (tools/refresh_assets.py); this one only joins them.
 *
 * @license Apache-2.0
 */
import htm from "./htm.js";
import { h } from "./preact-core.js";

export * from "./preact-core.js";
export * from "./preact-hooks.js";

/** Elements from a template: html`<p class=${name}>${text}</p>`. */
export const html = htm.bind(h);
