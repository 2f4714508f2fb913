/** What went wrong, in the server's words; where a token is wanted, the place to give one. */
import { html } from "../vendor/preact.js";
import { keepToken, token } from "../chat/client.js";

/** @param {{error: Error & {status?: number, hint?: string}, onSignedIn: () => void}} props */
export function Problem({ error, onSignedIn }) {
  if (error.status === 401) return html`<${SignIn} onSignedIn=${onSignedIn} />`;
  return html`
    <div class="problem panel" role="alert">
      <p>${error.message}</p>
      ${error.hint && html`<p class="note">${error.hint}</p>`}
    </div>
  `;
}

function SignIn({ onSignedIn }) {
  const why = token()
    ? "The server does not know this token."
    : "This server knows its people by a token.";
  const submit = (event) => {
    event.preventDefault();
    keepToken(event.target.elements.token.value.trim());
    onSignedIn();
  };
  return html`
    <form id="sign-in" class="panel" onSubmit=${submit}>
      <p role="alert">${why}</p>
      <label for="token">Token</label>
      <div class="controls">
        <input id="token" name="token" type="password" required autocomplete="off" />
        <button>Sign in</button>
      </div>
    </form>
  `;
}
