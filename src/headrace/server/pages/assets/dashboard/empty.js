/** What stands there while nothing has run: how to make something happen. */
import { html } from "../vendor/preact.js";
import { token } from "../chat/client.js";
import { commands } from "./commands.js";

export function Empty() {
  const server = new URL(".", document.baseURI).href.replace(/\/$/, "");
  return html`
    <section id="empty" class="panel" aria-labelledby="empty-title">
      <h2 id="empty-title">Nothing has run here yet</h2>
      <p>Ask something on the <a href="./">chat page</a>, or from a terminal:</p>
      <pre tabindex="0">${commands(server, token() !== "").join("\n")}</pre>
      <p class="note">The run shows up here at once, and stays in the list when it is over.</p>
    </section>
  `;
}
