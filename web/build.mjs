// Builds web/dist: esbuild makes one small module of web/client (sdk.js) and one of the web phone's
// elements with Lit (phone.js), and the operator's pages with Lit and uPlot (admin.js, admin.css); the TypeScript compiler checks the library and writes its types. `--check` builds beside and fails where the
// committed files differ, or where the module is larger than it may be.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { buildSync } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const head = "// Crosspoint client library 0.1.0, MIT OR Apache-2.0. Built from web/client by `npm run build`.\n";
const phoneHead = "// Crosspoint web phone 0.1.0, MIT OR Apache-2.0. Built from web/phone/src by `npm run build`; with Lit, BSD-3-Clause, (c) Google LLC.\n";
const adminHead = "// Crosspoint operator's pages 0.1.0, MIT OR Apache-2.0. Built from web/admin by `npm run build`; with Lit, BSD-3-Clause, (c) Google LLC, and uPlot, MIT, (c) Leon Sorokin.\n";
/** What a page loads at most, compressed as a server sends it. */
const MAX_GZIP = 15 * 1024;

/** The modules whose declarations make the types, base classes first. */
const modules = ["codes", "ulid", "errors", "events", "wire", "media", "devices", "stats", "dtmf", "peer", "call", "preflight", "tab", "phone"];

function types(folder) {
  const index = readFileSync(join(folder, "index.d.ts"), "utf8");
  const exported = [...index.matchAll(/export (type )?\{([^}]*)\}/g)].flatMap(([, type, names]) =>
    names.split(",").map((name) => (type ?? "") + name.trim()).filter((name) => name !== ""));
  const bodies = modules.map((name) =>
    readFileSync(join(folder, name + ".d.ts"), "utf8")
      .replace(/^import\s[^;]*;\n/gm, "")
      .replace(/^export \{\};\n/gm, "")
      .replace(/^export (?=declare|interface|type|class|const|function|async|abstract)/gm, "")
      .trim());
  return `${head}\n${bodies.join("\n\n")}\n\nexport { ${exported.join(", ")} };\n`;
}

function bundle(entry, external = []) {
  const { outputFiles } = buildSync({
    entryPoints: [entry], external, bundle: true, format: "esm", target: "es2022", minify: true, charset: "utf8",
    legalComments: "none", write: false, absWorkingDir: here, logLevel: "warning",
  });
  return outputFiles[0].text;
}

function run(command, args) {
  const done = spawnSync(command, args, { cwd: here, stdio: "inherit" });
  if (done.status !== 0) process.exit(done.status ?? 1);
}

const temporary = mkdtempSync(join(tmpdir(), "crosspoint-sdk-"));
try {
  run(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), "-p", here, "--outDir", temporary]);
  const built = { "sdk.js": head + bundle("client/index.ts"), "sdk.d.ts": types(temporary), "phone.js": phoneHead + bundle("phone/src/index.js", ["./sdk.js"]) };
  // The operator's pages: scripts and style sheet, with nothing from elsewhere.
  run(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), "-p", join(here, "admin")]);
  built["admin.js"] = adminHead + bundle("admin/admin.ts");
  built["admin.css"] = bundle("admin/admin.css");
  const size = gzipSync(built["sdk.js"], { level: 9 }).length;
  console.log(`sdk.js: ${size} bytes compressed of ${MAX_GZIP}`);
  if (size > MAX_GZIP) {
    console.error("web/dist/sdk.js is larger than a page should load");
    process.exitCode = 1;
  }
  // What was put together must be one module: no name twice, nothing missing in the types.
  writeFileSync(join(temporary, "whole.d.ts"), built["sdk.d.ts"]);
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
        console.error(`web/dist/${name} is not what web/ builds: run \`npm run build\` in web/ and commit it`);
        process.exitCode = 1;
      }
    }
  }
  // What users were promised is what they get: every member of test/promised.d.ts.
  run(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), "--noEmit", "--ignoreConfig", "--strict", "--types", "", "--module", "es2022", "--moduleResolution", "bundler", "--target", "es2022", "--lib", "es2023,dom,dom.iterable", join(here, "test/api.ts")]);
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
