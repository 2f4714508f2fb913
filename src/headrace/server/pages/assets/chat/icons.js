/** The page's few signs, in the text's colour; each beside a word, seen or not. */
import { html } from "../vendor/preact.js";

const PATHS = {
  menu: "M4 6h16M4 12h16M4 18h16",
  plus: "M12 5v14M5 12h14",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M7 7h10v10H7z",
  retry: "M20 11a8 8 0 1 0-2.3 6.3M20 5v6h-6",
  copy: "M9 9h10v11H9zM5 15V4h10",
  check: "M5 12.5l5 5L20 7",
  edit: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  down: "M12 5v14M6 13l6 6 6-6",
  cross: "M6 6l12 12M18 6L6 18",
  chevron: "M9 6l6 6-6 6",
  chart: "M5 20V11M12 20V4M19 20v-6",
};

/** @param {{name: keyof PATHS}} props */
export const Icon = ({ name }) => html`
  <svg class="icon icon-${name}" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    <path d=${PATHS[name]} />
  </svg>
`;
