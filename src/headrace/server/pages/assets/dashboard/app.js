/** The dashboard: `dashboard` shows the server, `dashboard#run=ID` one run. */
import { html, render, useEffect, useReducer, useState } from "../vendor/preact.js";
import { OverviewPage } from "./overview_page.js";
import { RunPage } from "./run_page.js";

const wanted = () => new URLSearchParams(location.hash.slice(1)).get("run") ?? "";

function Dashboard() {
  const [run, setRun] = useState(wanted());
  const [users, signedIn] = useReducer((n) => n + 1, 0); // another user, another page
  useEffect(() => {
    const go = () => setRun(wanted());
    addEventListener("hashchange", go);
    return () => removeEventListener("hashchange", go);
  }, []);
  useEffect(() => {
    document.title = run ? `${run} · Headrace` : "Headrace dashboard";
  }, [run]);
  return run
    ? html`<${RunPage} key=${`${run} ${users}`} id=${run} onSignedIn=${signedIn} />`
    : html`<${OverviewPage} key=${users} onSignedIn=${signedIn} />`;
}

const root = document.getElementById("dashboard");
root.replaceChildren(); // what stood there until the script had come
render(html`<${Dashboard} />`, root);
