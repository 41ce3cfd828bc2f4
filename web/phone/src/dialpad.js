// <crosspoint-dialpad>: twelve keys for fingers, mice, keyboards and screen readers.
//
// With a `call` it sends what is pressed, each tone as long as its key was held. Without one it only
// tells: `press` and `release`, with the key in `detail.key`.
import { LitElement, css, html } from "lit";
import { keyTone } from "./sound.js";
import { base } from "./styles.js";

const LETTERS = { 2: "ABC", 3: "DEF", 4: "GHI", 5: "JKL", 6: "MNO", 7: "PQRS", 8: "TUV", 9: "WXYZ", 0: "+" };
const NAMES = { "*": "star", "#": "hash", 0: "0, hold for plus" };

export class CrosspointDialpad extends LitElement {
  static properties = { call: { attribute: false }, silent: { type: Boolean } };

  constructor() {
    super();
    this.call = null;
    this.silent = false;
    this.held = new Map();
    this.release = this.release.bind(this);
    this.releaseAll = () => [...this.held.keys()].forEach(this.release);
  }

  connectedCallback() {
    super.connectedCallback();
    addEventListener("blur", this.releaseAll);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    removeEventListener("blur", this.releaseAll);
    this.releaseAll();
  }

  /** A key goes down. */
  press(key) {
    if (this.held.has(key)) return;
    const button = this.button(key);
    button?.classList.add("down");
    this.held.set(key, { since: performance.now(), stop: this.silent ? () => {} : keyTone(key), call: this.call });
    this.tell("press", key);
  }

  /** It comes up. */
  release(key) {
    const entry = this.held.get(key);
    if (!entry) return;
    this.held.delete(key);
    entry.stop();
    this.button(key)?.classList.remove("down");
    const dtmf = entry.call?.dtmf;
    if (dtmf?.canInsertDTMF) {
      const length = Math.min(6000, Math.max(100, Math.round(performance.now() - entry.since)));
      if (dtmf.toneBuffer) dtmf.append(key);
      else dtmf.insertDTMF(key, length);
    }
    this.tell("release", key);
  }

  /** Shows a key for a moment, as when it is sent or received. */
  light(key) {
    const button = this.button(key);
    button?.classList.add("lit");
    setTimeout(() => button?.classList.remove("lit"), 180);
  }

  button(key) {
    return this.renderRoot.querySelector(`[data-key="${CSS.escape(key)}"]`);
  }

  tell(name, key) {
    this.dispatchEvent(new CustomEvent(name, { detail: { key }, bubbles: true, composed: true }));
  }

  render() {
    return html`<div class="pad" role="group" aria-label="Dial pad">${[..."123456789*0#"].map((key) => html`
      <button type="button" class="key" data-key=${key} aria-label=${NAMES[key] ?? key}
        @pointerdown=${(ev) => this.down(ev, key)} @pointerup=${() => this.release(key)} @pointercancel=${() => this.release(key)}
        @click=${(ev) => this.clicked(ev, key)} @contextmenu=${(ev) => ev.preventDefault()}>
        <b>${key === "*" ? "∗" : key}</b><small>${LETTERS[key] ?? ""}</small>
      </button>`)}</div>`;
  }

  down(ev, key) {
    if (ev.button !== 0) return;
    ev.preventDefault();
    ev.currentTarget.setPointerCapture(ev.pointerId);
    this.press(key);
  }

  /** A click without a pointer: a screen reader or the keyboard on the button. */
  clicked(ev, key) {
    if (ev.detail !== 0 || this.held.has(key)) return;
    this.press(key);
    setTimeout(() => this.release(key), 100);
  }

  static styles = [base, css`
    :host { display: block; }
    .pad { display: grid; grid-template-columns: repeat(3, 1fr); gap: var(--pad-gap, clamp(.3rem, 1.1dvh, .65rem)) .8rem; user-select: none; -webkit-user-select: none; height: 100%; }
    .key { display: grid; place-content: center; justify-items: center; min-height: var(--key-height, clamp(2.2rem, 8.4dvh, 4.5rem)); border-radius: 18px; background: var(--key); line-height: 1.05; touch-action: none; transition: background .1s; }
    .key b { font-size: 1.6rem; font-weight: 500; font-variant-numeric: tabular-nums; }
    .key small { font-size: .64rem; letter-spacing: .14em; color: var(--soft); min-height: .75rem; }
    .key[data-key="*"] b, .key[data-key="#"] b { font-size: 1.75rem; }
    .key[data-key="*"] b { transform: translateY(.3rem); }
    .key[data-key="*"] small, .key[data-key="#"] small { display: none; }
    .key.down { background: var(--key-press); transform: scale(.97); }
    .key.lit { background: var(--brand-soft); box-shadow: inset 0 0 0 2px var(--brand); }
    @media (hover: hover) { .key:hover:not(.down, .lit) { background: color-mix(in srgb, var(--key) 60%, var(--key-press)); } }
    @media (max-height: 30rem) { .key b { font-size: 1.2rem; } .key small { display: none; } .key { border-radius: 12px; } }
    @media (max-height: 42rem) { .key b { font-size: 1.35rem; } }
  `];
}
