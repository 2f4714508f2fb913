/** What a conversation shows before its first question. */
import { html } from "../vendor/preact.js";

/** Each works on the embedded model, without a key. */
const SUGGESTIONS = [
  ["Watch it use tools", "What is 123 * 456, and what time is it in Tokyo?"],
  ["Follow its reasoning", "How does Headrace cancel a run?"],
  ["Let it write at length", "Write a long text about streaming."],
];

/** @param {{ask: (text: string) => void}} props */
export const Empty = ({ ask }) => html`
  <div class="empty">
    <h2>What would you like to know?</h2>
    <p class="soft">Close the page or lose the network in mid-answer: it goes on where it was.</p>
    <div class="suggestions">
      ${SUGGESTIONS.map(
        ([what, question]) => html`
          <button type="button" class="suggestion" onClick=${() => ask(question)}>
            <span class="what">${what}</span>
            <span class="soft">${question}</span>
          </button>
        `,
      )}
    </div>
  </div>
`;
