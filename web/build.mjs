// Builds web/dist/sdk.js and web/dist/sdk.d.ts: the TypeScript compiler, then the modules put one
// after the other. `--check` builds beside and fails where the committed files differ.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const head = "// Crosspoint client library 0.1.0, MIT OR Apache-2.0. Built from web/client by `npm run build`.\n";

/** Base classes first: a class must stand before the one that extends it. */
const modules = ["codes", "ulid", "errors", "events", "wire", "media", "dtmf", "call", "phone"];

function link(folder, ext) {
  const index = readFileSync(join(folder, `index${ext}`), "utf8");
  const exported = [...index.matchAll(/export (type )?\{([^}]*)\}/g)].flatMap(([, type, names]) =>
    names.split(",").map((name) => (type ?? "") + name.trim()).filter((name) => name !== ""));
  const bodies = modules.map((name) =>
    readFileSync(join(folder, name + ext), "utf8")
      .replace(/^import\s[^;]*;\n/gm, "")
      .replace(/^export \{\};\n/gm, "")
      .replace(/^export (?=declare|interface|type|class|const|function|async|abstract)/gm, "")
      .trim());
  return `${head}\n${bodies.join("\n\n")}\n\nexport { ${exported.join(", ")} };\n`;
}

function run(command, args) {
  const done = spawnSync(command, args, { cwd: here, stdio: "inherit" });
  if (done.status !== 0) process.exit(done.status ?? 1);
}

const temporary = mkdtempSync(join(tmpdir(), "crosspoint-sdk-"));
try {
  run(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), "-p", here, "--outDir", temporary]);
  const built = { "sdk.js": link(temporary, ".js"), "sdk.d.ts": link(temporary, ".d.ts") };
  // What was linked must be one module: no name twice, nothing missing in the types.
  for (const [name, text] of Object.entries(built)) {
    writeFileSync(join(temporary, name === "sdk.js" ? "whole.mjs" : "whole.d.ts"), text);
  }
  run(process.execPath, ["--check", join(temporary, "whole.mjs")]);
  run(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), "--noEmit", "--ignoreConfig", "--types", "", "--lib", "es2023,dom,dom.iterable", join(temporary, "whole.d.ts")]);
  for (const [name, text] of Object.entries(built)) {
    const path = join(here, "dist", name);
    if (!process.argv.includes("--check")) {
      mkdirSync(join(here, "dist"), { recursive: true });
      writeFileSync(path, text);
    } else {
      let committed = "";
      try { committed = readFileSync(path, "utf8"); } catch { /* missing is different */ }
      if (committed !== text) {
        console.error(`web/dist/${name} is not what web/client builds: run \`npm run build\` in web/ and commit it`);
        process.exitCode = 1;
      }
    }
  }
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
