/** Lines for a terminal that make a server work. Pure. */

/**
 * @param {string} server Its address, without a slash at the end.
 * @param {boolean} locked Whether it wants a token.
 * @returns {string[]}
 */
export function commands(server, locked) {
  const token = locked ? "HEADRACE_TOKEN=TOKEN " : "";
  const bearer = locked ? "-H 'authorization: Bearer TOKEN' " : "";
  const json = "-H 'content-type: application/json' -d";
  return [
    `${token}headrace send ${server} "What is 123*456?"`,
    `curl -N ${bearer}${server}/chat/stream ${json} '{"message": "Hello"}'`,
  ];
}
