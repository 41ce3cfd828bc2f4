// What both elements share: colours in light and dark, and how buttons look.
import { css } from "lit";

export const base = css`
  :host {
    color-scheme: light dark;
    --card: #ffffff; --key: #f2f4f8; --key-press: #dde3ee; --line: #dfe3ea; --ink: #131722; --soft: #566073;
    --brand: #2f5bea; --brand-soft: #e6ecff; --go: #12804a; --go-press: #0d6a3c; --stop: #c92a3a; --stop-press: #a91f2e;
    --warn: #8a4b00; --warn-card: #fff4e2; --warn-line: #f2d3a2; --good: #22a565;
    --shadow: 0 1px 2px rgb(20 28 50 / 6%), 0 18px 50px -12px rgb(20 28 50 / 18%);
    color: var(--ink);
    font: 400 16px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "DejaVu Sans", sans-serif;
    -webkit-tap-highlight-color: transparent;
  }
  @media (prefers-color-scheme: dark) {
    :host {
      --card: #161a22; --key: #202630; --key-press: #303846; --line: #2a313d; --ink: #eef1f7; --soft: #a0abbd;
      --brand: #8ea8ff; --brand-soft: #222c4d; --go: #1f9d5e; --go-press: #26b56d; --stop: #e0475a; --stop-press: #f0596b;
      --warn: #ffce8a; --warn-card: #2c2213; --warn-line: #57431f;
      --shadow: 0 0 0 1px #ffffff0d, 0 24px 60px -12px #000c;
    }
  }
  * { box-sizing: border-box; margin: 0; }
  [hidden] { display: none !important; }
  .hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
  button { font: inherit; color: inherit; border: 0; background: none; cursor: pointer; touch-action: manipulation; padding: 0; }
  button:disabled { cursor: default; }
  svg { fill: currentColor; width: 1.5rem; height: 1.5rem; display: block; }
  :focus-visible { outline: 3px solid var(--brand); outline-offset: 2px; }
  @media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }
`;

export const phoneStyles = css`
  :host { display: flex; flex-direction: column; min-height: 0; container-type: inline-size; }
  .phone { position: relative; flex: 1 1 auto; display: grid; grid-template: auto auto minmax(0, 1fr) auto auto / minmax(0, 1fr); grid-template-areas: "notice" "offline" "screen" "pad" "actions"; background: var(--card); border-radius: 24px; box-shadow: var(--shadow); padding: 1rem 1.25rem 1.25rem; min-height: 0; }
  .phone[data-view="login"] { grid-template-areas: "notice" "offline" "login" "pad" "actions"; }
  .notice { grid-area: notice; } .offline { grid-area: offline; } .screen { grid-area: screen; } .actions { grid-area: actions; }
  crosspoint-dialpad { grid-area: pad; margin-top: clamp(.3rem, 1.4dvh, 1rem); }
  slot[name="login"] { grid-area: login; display: none; }
  [data-view="login"] slot[name="login"] { display: block; align-self: center; }
  [data-view="login"] :is(.screen, crosspoint-dialpad, .actions) { display: none; }

  .screen { display: grid; grid-template-columns: minmax(0, 1fr); align-content: center; min-height: 8.5rem; position: relative; }
  .field { display: flex; align-items: center; gap: .25rem; position: relative; }
  .field input, .transfer input { flex: 1; min-width: 0; font: inherit; font-size: clamp(1.5rem, 7.6cqw, 2.1rem); font-weight: 500; letter-spacing: .01em; font-variant-numeric: tabular-nums; text-align: center; padding: .4rem 2.6rem; border: 0; border-radius: 14px; background: none; color: inherit; }
  .field input:focus-visible { outline: 2px solid color-mix(in srgb, var(--brand) 60%, transparent); outline-offset: -2px; }
  .field input::placeholder { color: var(--soft); opacity: .8; font-weight: 400; }
  .icon { display: grid; place-items: center; width: 2.75rem; height: 2.75rem; border-radius: 50%; color: var(--soft); flex: none; }
  .icon:hover { background: var(--key); color: var(--ink); }
  #erase { position: absolute; right: -.3rem; }
  #number:placeholder-shown ~ #erase { visibility: hidden; }

  .last { display: flex; align-items: center; gap: .75rem; margin: .5rem 0 .25rem; padding: .6rem .6rem .6rem .9rem; border-radius: 14px; background: var(--key); font-size: .94rem; }
  .last > div { flex: 1; }
  .last[data-tone="bad"] { background: var(--warn-card); box-shadow: inset 0 0 0 1px var(--warn-line); }
  .last[data-tone="bad"] #end-message { color: var(--warn); font-weight: 600; }
  .detail { color: var(--soft); font-size: .86rem; font-variant-numeric: tabular-nums; }
  .pill { display: inline-flex; align-items: center; gap: .4rem; white-space: nowrap; padding: .45rem .8rem; border-radius: 99px; background: var(--card); box-shadow: inset 0 0 0 1px var(--line); font-size: .88rem; font-weight: 550; }
  .pill svg { width: 1.05rem; height: 1.05rem; }
  .offline { color: var(--warn); font-size: .9rem; text-align: center; padding: .1rem 0 .4rem; }

  .talk, .ring { text-align: center; }
  .ring { display: grid; justify-items: center; gap: .4rem; }
  .peer { font-size: clamp(1.35rem, 6.6cqw, 1.9rem); font-weight: 600; letter-spacing: -.01em; overflow-wrap: anywhere; line-height: 1.2; }
  .state { color: var(--soft); margin-top: .15rem; }
  .talk[data-state="active"] .state { color: var(--go); }
  .talk[data-state="reconnecting"] .state, .warning { color: var(--warn); }
  .warning { font-size: .86rem; }
  .facts { display: flex; justify-content: center; align-items: center; gap: .9rem; min-height: 1.6rem; }
  .timer { font-size: 1.15rem; font-variant-numeric: tabular-nums; }
  .quality { display: inline-flex; align-items: end; gap: 2px; height: 1rem; }
  .quality i { width: 4px; background: var(--line); border-radius: 2px; }
  .quality i:nth-child(1) { height: 25%; } .quality i:nth-child(2) { height: 50%; } .quality i:nth-child(3) { height: 75%; } .quality i:nth-child(4) { height: 100%; }
  .quality i.on { background: var(--good); } .quality[data-word="fair"] i.on { background: #d59a2b; } .quality[data-word="poor"] i.on { background: var(--stop); }
  .meters { display: grid; grid-template-columns: auto 1fr auto 1fr; align-items: center; gap: .5rem; margin: .6rem auto 0; max-width: 20rem; color: var(--soft); }
  .meters svg { width: 1.1rem; height: 1.1rem; }
  .meter { height: 8px; border-radius: 99px; background: var(--key); overflow: hidden; }
  .meter i { display: block; height: 100%; width: 100%; border-radius: inherit; background: linear-gradient(90deg, #2aa868 0 62%, #e0a52e 82%, #d9485a); clip-path: inset(0 calc(100% - var(--level, 0) * 100%) 0 0 round 99px); }
  [data-muted="true"] #meter-local { opacity: .35; }
  .digits { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem; margin-top: .6rem; }
  .digits > div { background: var(--key); border-radius: 12px; padding: .3rem .7rem .4rem; text-align: left; min-width: 0; }
  .digits span { color: var(--soft); font-size: .74rem; }
  .digits output { font: 600 1.05rem/1.3 ui-monospace, "SF Mono", "Cascadia Mono", Menlo, "DejaVu Sans Mono", monospace; letter-spacing: .08em; overflow: hidden; white-space: nowrap; display: flex; justify-content: flex-end; }
  .digits bdi { flex: 0 0 auto; min-width: 100%; }
  .digits bdi:empty::before { content: "–"; color: var(--soft); font-weight: 400; }
  .digits i { font-style: normal; opacity: .45; transition: opacity .15s; } .digits i.delivered { opacity: 1; }
  .digits > div > span { display: flex; justify-content: space-between; gap: .4rem; }
  .digits small { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .digits .down { box-shadow: inset 0 0 0 2px var(--brand); }

  .actions { display: grid; grid-template-columns: 1fr auto 1fr; align-items: center; justify-items: center; margin-top: clamp(.4rem, 1.8dvh, 1.2rem); min-height: 4.25rem; }
  .actions .side { display: flex; gap: .5rem; }
  .round { display: grid; place-items: center; width: 4.25rem; height: 4.25rem; border-radius: 50%; position: relative; transition: background .12s, transform .12s; }
  .round svg { width: 1.9rem; height: 1.9rem; }
  .round:active { transform: scale(.95); }
  .round span { position: absolute; top: calc(100% + .25rem); font-size: .78rem; color: var(--soft); }
  .go { background: var(--go); color: #fff; } .go:hover { background: var(--go-press); }
  .go:disabled { background: color-mix(in srgb, var(--go) 20%, var(--card)); color: color-mix(in srgb, var(--go) 65%, var(--card)); transform: none; }
  .stop { background: var(--stop); color: #fff; } .stop:hover { background: var(--stop-press); }
  .quiet { width: 2.9rem; height: 2.9rem; background: var(--key); }
  .quiet svg { width: 1.35rem; height: 1.35rem; }
  .quiet[aria-pressed="true"], .quiet[aria-expanded="true"] { background: var(--ink); color: var(--card); }
  [data-view="ring"] crosspoint-dialpad { display: none; }
  [data-view="ring"] .actions { display: flex; justify-content: space-around; margin-bottom: 1.4rem; }
  [data-view="ring"] #answer { animation: nudge 1.6s infinite; }
  .bell { position: relative; display: grid; place-items: center; width: 6rem; height: 6rem; margin: 1.4rem; border-radius: 50%; background: var(--brand-soft); color: var(--brand); }
  .bell svg { width: 2.4rem; height: 2.4rem; }
  .bell span { position: absolute; inset: 0; border-radius: 50%; box-shadow: 0 0 0 2px var(--brand); opacity: 0; animation: wave 2s infinite; }
  .bell span + span { animation-delay: 1s; }

  .notice { display: flex; gap: .5rem; align-items: flex-start; padding: .7rem .4rem .7rem .95rem; margin-bottom: .5rem; border-radius: 14px; background: var(--warn-card); box-shadow: inset 0 0 0 1px var(--warn-line); font-size: .92rem; }
  .notice > div { flex: 1; } .notice strong { color: var(--warn); }
  .notice .icon { width: 2.25rem; height: 2.25rem; } .notice .icon svg { width: 1.2rem; height: 1.2rem; }

  .transfer { display: flex; gap: .4rem; margin-top: .6rem; }
  .transfer input { font-size: 1rem; background: var(--key); padding: .5rem .8rem; text-align: left; }
  dialog { border: 0; border-radius: 20px; background: var(--card); color: var(--ink); box-shadow: var(--shadow); padding: 1.2rem; width: min(24rem, 92vw); margin: auto; }
  dialog::backdrop { background: #0008; }
  dialog h2 { font-size: 1.1rem; margin-bottom: .8rem; }
  dialog label { display: grid; gap: .2rem; font-size: .88rem; color: var(--soft); margin-bottom: .7rem; }
  dialog label.line { display: flex; align-items: center; gap: .6rem; }
  select { font: inherit; padding: .5rem .6rem; border-radius: 10px; border: 1px solid var(--line); background: var(--key); color: inherit; min-width: 0; }
  .wide { width: 100%; padding: .65rem; border-radius: 14px; background: var(--go); color: #fff; font-weight: 600; }
  .recent { list-style: none; padding: 0; display: grid; gap: .1rem; max-height: 55vh; overflow-y: auto; margin-bottom: .8rem; }
  .recent button { width: 100%; display: grid; grid-template-columns: 1fr auto; text-align: left; padding: .45rem .6rem; border-radius: 10px; }
  .recent button:hover { background: var(--key); }
  .recent small { grid-column: 1 / -1; color: var(--soft); }
  .recent [data-missed="true"] b { color: var(--stop); }

  @container (max-width: 24rem) { .pill span { display: none; } .pill { padding: .65rem; } }
  /* A low screen: everything still fits. */
  @media (max-height: 42rem) {
    .notice { padding-block: .45rem; font-size: .86rem; line-height: 1.35; }
    .notice:not([hidden]) ~ .screen { min-height: 3.2rem; }
    .screen { min-height: 6rem; }
    .round { width: 3.6rem; height: 3.6rem; } .quiet { width: 2.7rem; height: 2.7rem; }
    .actions { min-height: 3.6rem; }
    .bell { margin: .4rem; width: 4.5rem; height: 4.5rem; }
    .meters, .digits { margin-top: .35rem; }
  }
  @media (max-height: 34rem) {
    .phone { padding: .5rem .8rem .6rem; border-radius: 18px; }
    .screen { min-height: 3rem; }
    .talk .facts { min-height: 1.2rem; } .state { margin: 0; line-height: 1.2; }
    .peer { font-size: 1.2rem; }
    .meters { display: none; }
    .digits > div { padding: .1rem .5rem; } .digits { margin-top: .25rem; gap: .4rem; }
    .round { width: 3rem; height: 3rem; } .quiet { width: 2.4rem; height: 2.4rem; } .round svg { width: 1.4rem; height: 1.4rem; } .quiet svg { width: 1.1rem; height: 1.1rem; }
    .actions { min-height: 3rem; margin-top: .35rem; }
    .round span { display: none; } [data-view="ring"] .actions { margin-bottom: 0; }
    .last { margin: .1rem 0; padding: .25rem .5rem; font-size: .86rem; }
    crosspoint-dialpad { --pad-gap: .25rem; --key-height: clamp(1.9rem, 7.6dvh, 2.6rem); margin-top: .3rem; }
  }
  /* Lying on its side: the pad beside the rest. */
  @media (max-height: 30rem) and (min-width: 34rem) {
    .phone { grid-template: auto auto minmax(0, 1fr) auto / minmax(0, 1fr) minmax(0, 1fr); grid-template-areas: "notice notice" "offline offline" "screen pad" "actions pad"; column-gap: 1.2rem; }
    .phone[data-view="ring"] { grid-template-areas: "notice notice" "offline offline" "screen screen" "actions actions"; }
    .phone[data-view="login"] { grid-template-areas: "notice notice" "offline offline" "login login" "login login"; }
    crosspoint-dialpad { margin: 0; --key-height: 2.4rem; }
    .bell { width: 3rem; height: 3rem; margin: .2rem; }
  }
  @keyframes wave { 0% { transform: scale(1); opacity: .7; } 100% { transform: scale(1.7); opacity: 0; } }
  @keyframes nudge { 0%, 80%, 100% { transform: none; } 88% { transform: rotate(-9deg); } 94% { transform: rotate(9deg); } }
`;
