/** The conversations, last used first. */
import { html } from "../vendor/preact.js";
import { Icon } from "./icons.js";
import { Pure } from "./pure.js";

/**
 * @extends {Pure<{page: import("./page.js").Page, sessions: import("./page.js").Listed[] | null,
 *     open: string, close: () => void}>}
 */
export class Sidebar extends Pure {
  state = { sure: "" }; // of which conversation it was asked whether to delete it

  #delete = (session) => {
    if (this.state.sure !== session) return this.setState({ sure: session });
    this.setState({ sure: "" });
    this.props.page.forget(session);
  };

  render({ sessions, open, close }, { sure }) {
    return html`
      <nav id="side" aria-label="Conversations">
        <h1 class="brand">Headrace</h1>
        <a id="new" href="#" onClick=${close}><${Icon} name="plus" />New conversation</a>
        <ul id="sessions">
          ${sessions?.map(
            ({ session, title, live_run: live, updated_at: at }) => html`
              <li key=${session}>
                <a class="session" dir="auto" href="#s=${encodeURIComponent(session)}"
                  onClick=${close} aria-current=${session === open ? "page" : null}
                  title=${`${title}\n${new Date(at * 1000).toLocaleString()}`}>
                  ${title || "Untitled"}
                  ${live && html`<span class="live-dot" title="Answering"></span>`}
                </a>
                <button type="button" class="delete-session" data-sure=${sure === session}
                  onClick=${() => this.#delete(session)}
                  onBlur=${() => this.setState({ sure: "" })}>
                  ${sure === session ? "Delete?" : html`<${Icon} name="trash" />`}
                  <span class="unseen">${sure === session ? "" : "Delete"} ${title}</span>
                </button>
              </li>
            `,
          )}
        </ul>
        ${sessions?.length === 0 && html`<p class="soft">No conversations yet.</p>`}
      </nav>
    `;
  }
}
