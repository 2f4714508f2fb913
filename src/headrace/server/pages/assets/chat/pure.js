/** A component that is drawn again only when one of its properties is another value. */
import { Component } from "../vendor/preact.js";

export class Pure extends Component {
  shouldComponentUpdate(next, state) {
    const now = this.props;
    if (state !== this.state) return true;
    for (const name in next) if (next[name] !== now[name]) return true;
    for (const name in now) if (!(name in next)) return true;
    return false;
  }
}
