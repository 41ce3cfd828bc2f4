// Which Chromium the tests drive: CROSSPOINT_CHROMIUM, or the first of the usual names on PATH
// (tools/setup.sh looks for the same names). Without one the tests fail.
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/** The path of the browser to start. */
export function chromiumPath(env = process.env) {
  const folders = (env.PATH ?? "").split(delimiter).filter(Boolean);
  const onPath = (name) => folders.map((folder) => join(folder, name)).find(isProgram);
  const wished = env.CROSSPOINT_CHROMIUM;
  if (wished) {
    const found = wished.includes("/") ? isProgram(wished) && wished : onPath(wished);
    if (!found) throw new Error(`CROSSPOINT_CHROMIUM is ${wished}, and no program is there`);
    return found;
  }
  const found = NAMES.map(onPath).find(Boolean);
  if (!found) throw new Error("no Chromium on PATH: make test installs it, or set CROSSPOINT_CHROMIUM");
  return found;
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
