// What changed between two texts, line by line (Myers would be shorter in steps, this is shorter to read).

export interface Line { kind: "same" | "gone" | "new"; text: string; at: number }

export function diff(before: string, after: string): Line[] {
  const [a, b] = [before.split("\n"), after.split("\n")];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const [mine, theirs] = [a.slice(head, a.length - tail), b.slice(head, b.length - tail)];
  const middle: Line[] = [];
  if (mine.length * theirs.length > 4_000_000) {
    // Two plans with little in common: all of the one, then all of the other.
    mine.forEach((text, n) => middle.push({ kind: "gone", text, at: head + n + 1 }));
    theirs.forEach((text, n) => middle.push({ kind: "new", text, at: head + n + 1 }));
  } else {
    const width = theirs.length + 1;
    const common = new Uint32Array((mine.length + 1) * width);
    for (let i = mine.length - 1; i >= 0; i--) {
      for (let j = theirs.length - 1; j >= 0; j--) {
        common[i * width + j] = mine[i] === theirs[j] ? common[(i + 1) * width + j + 1]! + 1 : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
      }
    }
    let [i, j] = [0, 0];
    while (i < mine.length || j < theirs.length) {
      if (i < mine.length && j < theirs.length && mine[i] === theirs[j]) {
        middle.push({ kind: "same", text: mine[i]!, at: head + ++j });
        i++;
      } else if (i < mine.length && (j === theirs.length || common[(i + 1) * width + j]! >= common[i * width + j + 1]!)) {
        middle.push({ kind: "gone", text: mine[i]!, at: head + ++i });
      } else {
        middle.push({ kind: "new", text: theirs[j]!, at: head + ++j });
      }
    }
  }
  const around = 2;
  const context = (text: string, at: number): Line => ({ kind: "same", text, at });
  const lead = b.slice(Math.max(0, head - around), head).map((text, n) => context(text, Math.max(0, head - around) + n + 1));
  const end = b.length - tail;
  const trail = b.slice(end, end + around).map((text, n) => context(text, end + n + 1));
  return middle.length === 0 ? [] : [...lead, ...middle, ...trail];
}
