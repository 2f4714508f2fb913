/** The turns of the open conversation, in a box that follows their growth. */
import { html } from "../vendor/preact.js";
import { Problem } from "./answer.js";
import { Empty } from "./empty.js";
import { Icon } from "./icons.js";
import { Pure } from "./pure.js";
import { Following } from "./scroll.js";
import { TurnArticle } from "./turn.js";

const AT_FIRST = 20; // turns that are shown; earlier ones when they are asked for

/**
 * @extends {Pure<{page: import("./page.js").Page, turns: import("./conversation.js").Turn[],
 *     session: string, editing: string, loading: boolean, busy: boolean, problem: Error | null}>}
 */
export class Conversation extends Pure {
  state = { most: AT_FIRST, shown: 0, count: 0, away: false };
  #log = null;
  #timer = 0;
  #following = null;

  /** Of what is opened the last turn comes first, for each costs time; what is shown stays. */
  static getDerivedStateFromProps({ turns }, { shown, count }) {
    const added = turns.length - count;
    if (added === 0) return null;
    return { shown: shown ? Math.max(1, shown + added) : 1, count: turns.length };
  }

  componentDidMount() {
    this.#following = new Following(this.#log, () => {
      this.setState({ away: !this.#following.on });
    });
    this.#following.toEnd();
    this.#more();
  }

  /** How far the end is, of which nothing moves when earlier turns are put before the others. */
  getSnapshotBeforeUpdate() {
    return this.#log.scrollHeight - this.#log.scrollTop;
  }

  componentDidUpdate(before, { shown }, fromEnd) {
    const { turns, session } = this.props;
    if (shown !== this.state.shown) this.#log.scrollTop = this.#log.scrollHeight - fromEnd;
    const asked = turns.length > 0 && turns.at(-1).key !== before.turns.at(-1)?.key;
    if (asked || session !== before.session) this.#following.toEnd();
    else this.#following.grown();
    this.#more();
  }

  componentWillUnmount() {
    clearTimeout(this.#timer);
  }

  /** One more turn in a task of its own, from the end up. */
  #more() {
    const { most, shown, count } = this.state;
    if (this.#timer || shown >= Math.min(most, count)) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.setState({ shown: this.state.shown + 1 });
    });
  }

  render({ page, turns, editing, loading, busy, problem }, { most, shown, away }) {
    const hidden = Math.max(0, turns.length - shown);
    return html`
      <div class="reading">
        <div id="conversation" role="log" aria-live="off" aria-label="Conversation" tabindex="0"
          aria-busy=${loading ? "true" : "false"} ref=${(element) => (this.#log = element)}>
          <div class="column">
            ${hidden > 0 && shown >= most && html`<button type="button" id="earlier"
              onClick=${() => this.setState({ most: shown + AT_FIRST })}>
              Show what came before
            </button>`}
            ${turns.slice(hidden).map(
              (turn) => html`<${TurnArticle} key=${turn.key} turn=${turn} page=${page} busy=${busy}
                editing=${editing === turn.key} />`,
            )}
            ${problem && html`<${Problem} problem=${problem} />
              <button type="button" onClick=${() => page.talk.load()}>Try again</button>`}
            ${turns.length === 0 && loading && html`<p class="dots"><i></i><i></i><i></i></p>`}
            ${turns.length === 0 && !loading && !problem && html`
              <${Empty} ask=${(question) => page.talk.live || page.ask(question)} />`}
          </div>
        </div>
        ${away && turns.length > 0 && html`<button type="button" id="to-end" class="round"
          onClick=${() => this.#following.toEnd()} title="To the end">
          <${Icon} name="down" /><span class="unseen">To the end</span>
        </button>`}
      </div>
    `;
  }
}
