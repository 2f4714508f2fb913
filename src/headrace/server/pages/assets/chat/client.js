/** The server's JSON routes, for the page: relative to it, with the user's token. */
import { HeadraceError } from "../../headrace.js";

const KEPT = "headrace-token";

/** @returns {string} "" for none. */
export const token = () => sessionStorage.getItem(KEPT) ?? "";

export function keepToken(value) {
  if (value) sessionStorage.setItem(KEPT, value);
  else sessionStorage.removeItem(KEPT);
}

/**
 * @param {string} path Below the page's address, such as `v1/about`.
 * @param {{method?: string, body?: any, signal?: AbortSignal}} [options] A body is sent as JSON.
 * @returns {Promise<any>} The answer's JSON; null where it has none.
 * @throws {HeadraceError} What the server refuses, or that it cannot be reached.
 */
export async function call(path, { method, body, signal } = {}) {
  const headers = { accept: "application/json" };
  if (token()) headers.authorization = `Bearer ${token()}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const request = { method: method ?? (body === undefined ? "GET" : "POST"), headers, signal };
  if (body !== undefined) request.body = JSON.stringify(body);
  let response;
  try {
    response = await fetch(path, { ...request, cache: "no-store" });
  } catch (cause) {
    signal?.throwIfAborted();
    const message = "The server cannot be reached.";
    throw new HeadraceError(message, { code: "connection_lost", retryable: true, cause });
  }
  const told = await response.json().catch(() => null);
  if (response.ok) return told;
  const { code, hint, message = `The server answered ${response.status}.` } = told ?? {};
  throw new HeadraceError(message, { code, hint, status: response.status });
}

const named = (name) => encodeURIComponent(name);

export const about = () => call("v1/about");
export const sessions = () => call("v1/sessions?limit=100").then((told) => told.sessions);
export const session = (name, signal) => call(`v1/sessions/${named(name)}`, { signal });
export const forget = (name) => call(`v1/sessions/${named(name)}`, { method: "DELETE" });
export const run = (id) => call(`v1/runs/${named(id)}`);
export const lastRun = (session, signal) =>
  call(`v1/runs?limit=1&session=${named(session)}`, { signal }).then(({ runs }) => runs[0]);
export const say = (id, content) => call(`v1/runs/${named(id)}/input`, { body: { content } });
export const decide = (id, { agent, callId }, approved) =>
  call(`v1/runs/${named(id)}/approvals/${named(callId)}`, { body: { approved, agent } });
