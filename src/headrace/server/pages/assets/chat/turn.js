/** A question and its answer. */
import { html } from "../vendor/preact.js";
import { AnswerSection } from "./answer.js";
import { Icon } from "./icons.js";
import { Pure } from "./pure.js";
import { grow, leaves, sends } from "./typing.js";

/**
 * @extends {Pure<{turn: import("./conversation.js").Turn, editing: boolean, busy: boolean,
 *     page: import("./page.js").Page}>}
 */
export class TurnArticle extends Pure {
  #article = null;

  componentDidMount() {
    const { turn, page } = this.props;
    if (turn.measured || !turn.runId) return;
    this.observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      this.observer.disconnect();
      page.talk.measure(this.props.turn);
    });
    this.observer.observe(this.#article);
  }

  componentWillUnmount() {
    this.observer?.disconnect();
  }

  #retry = () => this.props.page.ask(this.props.turn.question, this.props.turn);

  #decide = (...decision) => this.props.page.talk.decide(...decision);

  render({ turn, editing, busy, page }) {
    const ask = (text) => page.ask(text, turn);
    return html`
      <article class="turn" ref=${(element) => (this.#article = element)}>
        ${editing
          ? html`<${QuestionForm} question=${turn.question} ask=${ask}
              leave=${() => page.talk.edit("")} />`
          : turn.question && html`<${Question} turn=${turn} busy=${busy}
              edit=${() => page.talk.edit(turn.key)} />`}
        <h2 class="unseen">Answer</h2>
        <${AnswerSection} turn=${turn} busy=${busy} retry=${this.#retry} decide=${this.#decide} />
      </article>
    `;
  }
}

const Question = ({ turn, busy, edit }) => html`
  <div class="asked">
    <h2 class="unseen">You asked</h2>
    <button type="button" class="tool-button edit" disabled=${busy} onClick=${edit}
      title="Edit the question">
      <${Icon} name="edit" /><span class="unseen">Edit the question</span>
    </button>
    <div class="question" dir="auto">${turn.question}</div>
  </div>
`;

/** The question in place, to be asked anew: Enter asks, Esc leaves it as it was. */
class QuestionForm extends Pure {
  #field = null;

  componentDidMount() {
    const { length } = this.#field.value;
    grow(this.#field);
    this.#field.focus();
    this.#field.setSelectionRange(length, length);
  }

  #send = (event) => {
    event.preventDefault();
    const text = this.#field.value.trim();
    if (text) this.props.ask(text);
  };

  #key = (event) => {
    if (sends(event)) this.#send(event);
    if (!leaves(event)) return;
    event.stopPropagation();
    this.props.leave();
  };

  render({ question, leave }) {
    return html`
      <form class="edit-question" onSubmit=${this.#send}>
        <textarea aria-label="The question" rows="1" defaultValue=${question}
          ref=${(field) => (this.#field = field)} onKeyDown=${this.#key}
          onInput=${(event) => grow(event.target)}></textarea>
        <p class="buttons">
          <button type="button" onClick=${leave}>Leave</button>
          <button class="main">Ask</button>
        </p>
      </form>
    `;
  }
}
