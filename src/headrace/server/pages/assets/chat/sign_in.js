/** Asks for the token by which the server knows its people. */
import { html } from "../vendor/preact.js";
import { Pure } from "./pure.js";

/** @extends {Pure<{refused: boolean, signIn: (token: string) => void}>} */
export class SignIn extends Pure {
  #field = null;

  componentDidMount() {
    this.#field.focus();
  }

  #send = (event) => {
    event.preventDefault();
    const token = this.#field.value.trim();
    if (token) this.props.signIn(token);
  };

  render({ refused }) {
    return html`
      <form id="sign-in" onSubmit=${this.#send}>
        <h2>Sign in</h2>
        <p class="soft" id="token-hint">
          This server knows its people by a token. It stays in this tab until the tab is closed.
        </p>
        <label for="token">Token</label>
        <input id="token" type="password" autocomplete="current-password" required
          aria-describedby="token-hint" aria-invalid=${refused ? "true" : "false"}
          ref=${(field) => (this.#field = field)} />
        ${refused && html`<p class="problem" role="alert">The server does not know this token.</p>`}
        <button class="main">Sign in</button>
      </form>
    `;
  }
}
