/** What went wrong, in the server's words; where a token is wanted, the place to give one. */
import { html } from "../vendor/preact.js";
import { keepToken, token } from "../chat/client.js";
import { SignIn } from "../chat/sign_in.js";

/** @param {{error: Error & {status?: number, hint?: string}, onSignedIn: () => void}} props */
export function Problem({ error, onSignedIn }) {
  if (error.status === 401) {
    const signIn = (given) => {
      keepToken(given);
      onSignedIn();
    };
    return html`<${SignIn} refused=${token() !== ""} signIn=${signIn} />`;
  }
  return html`
    <div class="problem panel" role="alert">
      <p>${error.message}</p>
      ${error.hint && html`<p class="note">${error.hint}</p>`}
    </div>
  `;
}
