/** An answer: its parts in the order in which they came, and how it came. */
import { Markdown } from "../markdown/markdown.js";
import { html } from "../vendor/preact.js";
import { answerText } from "./conversation.js";
import { ApprovalCard } from "./approval_card.js";
import { CopyButton } from "./copy_button.js";
import { Icon } from "./icons.js";
import { Pure } from "./pure.js";
import { StateSign, ToolCard } from "./tool_card.js";
import { duration, figures } from "./words.js";

/**
 * @extends {Pure<{turn: import("./conversation.js").Turn, busy: boolean, retry: () => void,
 *     decide: import("./approval_card.js").Decide}>}
 */
export class AnswerSection extends Pure {
  render({ turn, busy, retry, decide }) {
    const { answer, runId } = turn;
    const live = answer.state === "waiting" || answer.state === "running";
    return html`
      <section class="answer" aria-busy=${live ? "true" : "false"}
        data-run=${runId} data-state=${answer.state}>
        <${Parts} parts=${answer.parts} live=${live} runId=${runId} decide=${decide} />
        ${answer.state === "waiting" && html`<p class="dots"><i></i><i></i><i></i></p>`}
        ${answer.problem && html`<${Problem} problem=${answer.problem} />`}
        ${answer.state === "cancelled" && html`<p class="ending">Stopped</p>`}
        ${!live && html`
          <footer class="below">
            <${Figures} answer=${answer} runId=${runId} />
            ${answerText(answer) && html`<${CopyButton} name="copy-answer" label="Copy the answer"
              text=${() => answerText(answer)} />`}
            ${turn.whole && html`<${Retry} failed=${answer.state === "error"} busy=${busy}
              retry=${retry} />`}
          </footer>
        `}
      </section>
    `;
  }
}

/**
 * @param {object} props
 * @param {import("./timeline.js").Part[]} props.parts
 * @param {boolean} props.live Whether the last of them may still grow.
 * @param {string} props.runId
 * @param {import("./approval_card.js").Decide} props.decide
 */
function Parts({ parts, live, runId, decide }) {
  const last = parts.findLastIndex(({ kind }) => kind !== "input"); // the only one that may grow
  return parts.map((part, i) => {
    const open = live && i === last;
    const { kind, key } = part;
    if (kind === "text") return html`<${Text} key=${key} text=${part.text} live=${open} />`;
    if (kind === "reasoning") return html`<${Reasoning} key=${key} part=${part} live=${open} />`;
    if (kind === "tool") return html`<${ToolCard} key=${key} part=${part} />`;
    if (kind === "agent")
      return html`<${AgentBox} key=${key} part=${part} runId=${runId} decide=${decide} />`;
    if (kind === "approval")
      return html`<${ApprovalCard} key=${key} part=${part} runId=${runId} decide=${decide} />`;
    if (kind === "input") return html`<p key=${key} class="said">${part.text}</p>`;
    return html`<p key=${key} class="warning">${part.message}</p>`;
  });
}

class Text extends Pure {
  render({ text, live }) {
    return html`<${Markdown} text=${text} live=${live} />`;
  }
}

/** What the model thought, folded; the summary says how long it took, where that is known. */
class Reasoning extends Pure {
  render({ part, live }) {
    const took = part.ms === null ? "Thought" : `Thought for ${duration(part.ms)}`;
    return html`
      <details class="reasoning" data-live=${live ? "true" : "false"}>
        <summary><${Icon} name="chevron" />${live ? "Thinking …" : took}</summary>
        <p class="thoughts">${part.text}</p>
      </details>
    `;
  }
}

/** An agent below, with all that it says and does. */
class AgentBox extends Pure {
  render({ part, runId, decide }) {
    const { name, task, state, output, ms, parts } = part;
    return html`
      <section class="agent" data-state=${state} aria-label="Agent ${name}">
        <p class="agent-head">
          <${StateSign} state=${state} />
          <span class="agent-name">${name}</span>
          <span class="soft agent-task">${task}</span>
          <span class="tool-time">${ms === null ? "" : duration(ms)}</span>
        </p>
        <${Parts} parts=${parts} live=${state === "running"} runId=${runId} decide=${decide} />
        ${state === "error" && output && html`<p class="problem">${output}</p>`}
      </section>
    `;
  }
}

/** Quiet below an answer; in words where there is none. */
const Retry = ({ failed, busy, retry }) => html`
  <button type="button" class=${failed ? "retry" : "tool-button retry"} disabled=${busy}
    onClick=${retry} title="Ask again">
    <${Icon} name="retry" /><span class=${failed ? "" : "unseen"}>Ask again</span>
  </button>
`;

function Figures({ answer, runId }) {
  return html`
    <p class="figures">
      ${figures(answer).map((one) => html`<span>${one}</span>`)}
      ${runId && html`<a href="dashboard#run=${encodeURIComponent(runId)}">details</a>`}
    </p>
  `;
}

export const Problem = ({ problem }) => html`
  <div class="problem">
    <p>${problem.message}</p>
    ${problem.hint && html`<p class="hint">${problem.hint}</p>`}
  </div>
`;
