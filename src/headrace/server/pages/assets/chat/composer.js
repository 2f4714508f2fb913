/** Where one writes: Enter sends, Shift-Enter breaks the line, up-arrow edits the last question. */
import { html } from "../vendor/preact.js";
import { Icon } from "./icons.js";
import { Pure } from "./pure.js";
import { focusField, grow, sends } from "./typing.js";

/**
 * @extends {Pure<{page: import("./page.js").Page, session: string, draft: {text: string} | null,
 *     live: boolean, stopping: boolean, status: string}>} `draft` goes into the field if empty.
 */
export class Composer extends Pure {
  #field = null;

  componentDidMount() {
    this.#takeUp(this.props.draft); // or what was written before this script was here
    focusField(this.#field);
  }

  componentDidUpdate(before) {
    const { session, draft } = this.props;
    if (draft !== before.draft) this.#takeUp(draft);
    // A conversation that has just got its name is still the same.
    if (session !== before.session && !this.props.live) focusField(this.#field);
  }

  #takeUp(draft) {
    if (draft) this.#field.value ||= draft.text;
    grow(this.#field);
  }

  #send = (event) => {
    event.preventDefault();
    const { page, live } = this.props;
    const text = this.#field.value.trim();
    if (!text) return;
    this.#field.value = "";
    grow(this.#field);
    if (live) page.talk.say(text);
    else page.ask(text);
  };

  #stop = () => {
    focusField(this.#field); // before the button goes
    this.props.page.talk.stop();
  };

  #key = (event) => {
    const { talk } = this.props.page;
    if (sends(event)) this.#send(event);
    else if (event.key === "ArrowUp" && !this.#field.value && talk.turns.length > 0) {
      event.preventDefault();
      talk.edit(talk.turns.at(-1).key);
    }
  };

  render({ page, live, stopping, status }) {
    const label = live ? "Say something to the run" : "Ask";
    return html`
      <form id="ask" onSubmit=${this.#send}>
        <div class="field">
          <label for="input" class="unseen">${label}</label>
          <textarea id="input" rows="1" autocomplete="off" ref=${(field) => (this.#field = field)}
            placeholder=${live ? label : "Ask anything"} onKeyDown=${this.#key}
            onInput=${(event) => grow(event.target)}></textarea>
          ${live && html`<button id="stop" type="button" class="round" disabled=${stopping}
            onClick=${this.#stop} title="Stop (Esc)">
            <${Icon} name="stop" /><span class="unseen">Stop</span>
          </button>`}
          <button id="send" class="round main" title=${live ? "Say" : "Send"}>
            <${Icon} name="send" /><span class="unseen">${live ? "Say" : "Send"}</span>
          </button>
        </div>
        <p id="status" role="status" aria-live="polite">${status}</p>
      </form>
    `;
  }
}
