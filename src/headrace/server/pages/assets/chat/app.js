/** The chat page: draws a `Page`, once a frame at most, and hands it what the person does. */
import { html, render } from "../vendor/preact.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation_view.js";
import { Frames } from "./frames.js";
import { Header } from "./header.js";
import { Page, sessionOf } from "./page.js";
import { Sidebar } from "./sidebar.js";
import { SignIn } from "./sign_in.js";
import { focusLeft, leaves } from "./typing.js";

const root = document.getElementById("app");
const frames = new Frames(draw);
const page = new Page(() => frames.request());
const choose = (agent) => page.choose(agent);
const signIn = (token) => page.signIn(token);
let side = false; // whether the conversations are shown where there is little room

function draw() {
  const { talk, locked } = page;
  const focused = document.activeElement;
  talk.settle();
  document.title = titleOf(talk);
  document.body.dataset.side = side ? "open" : "closed";
  render(html`<${App} page=${page} talk=${talk} locked=${locked} />`, root);
  if (!focused.isConnected && document.activeElement === document.body) focusLeft();
}

function App({ page, talk, locked }) {
  const { turns, session, editing, loading, problem, live, draft, status } = talk;
  const answered = page.agent ? "" : turns.at(-1)?.answer.model; // another may have been chosen
  return html`
    <${Sidebar} page=${page} sessions=${page.sessions} open=${session} close=${close} />
    <main id="main" inert=${side}>
      <${Header} about=${page.about} agent=${page.asked} answered=${answered} side=${side}
        choose=${choose} toggle=${toggle} />
      ${locked
        ? html`<${SignIn} refused=${page.refused} signIn=${signIn} />`
        : html`
            <${Conversation} key=${talk.id} page=${page} turns=${turns} session=${session}
              editing=${editing} loading=${loading} busy=${live !== null} problem=${problem} />
            <${Composer} page=${page} session=${session} draft=${draft} live=${live !== null}
              stopping=${live?.stopping ?? false} status=${status} />
          `}
    </main>
  `;
}

function titleOf({ session, turns }) {
  const listed = page.sessions?.find((one) => one.session === session);
  const title = listed?.title || turns[0]?.question.slice(0, 80);
  return title ? `${title} – Headrace` : "Headrace";
}

function toggle() {
  side = !side;
  frames.flush();
  document.getElementById(side ? "new" : "menu").focus();
}

function close() {
  if (side) toggle();
}

addEventListener("keydown", (event) => {
  if (!leaves(event) || event.defaultPrevented) return;
  if (side) close();
  else page.talk.stop();
});
document.addEventListener("click", ({ target }) => {
  if (target === document.body) close(); // beside the conversations, where they cover the page
});
matchMedia("(max-width: 46rem)").addEventListener("change", close);
addEventListener("popstate", () => page.open(sessionOf(location.hash)));
addEventListener("focus", () => page.refresh());
addEventListener("online", () => page.refresh());
document.addEventListener("visibilitychange", () => document.hidden || page.refresh());
page.begin();
frames.flush();
