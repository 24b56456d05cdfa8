// Bundles the panels into one ES module, which the Python package ships: `npm run build`, or `npm run watch`.
import { context, build } from "esbuild";
import { readFile, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

const OUT = "../nbactors/jupyter/panels/static/panels.js";
const LICENSES = "../nbactors/jupyter/panels/static/panels-licenses.txt"; // of the packages in the bundle, which ask for it
const MOST = 40_000; // bytes of the bundle, compressed

const options = {
  entryPoints: ["src/index.ts"],
  outfile: OUT,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  metafile: true,
  jsx: "automatic",
  jsxImportSource: "preact",
  loader: { ".css": "text" },
  logLevel: "warning",
};

if (process.argv.includes("--watch")) {
  await (await context(options)).watch();
} else {
  const { metafile } = await build(options);
  const paths = Object.keys(metafile.inputs).map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]);
  const packages = [...new Set(paths.filter(Boolean))].sort();
  const texts = packages.map(async (name) => `${name}\n\n${await readFile(`node_modules/${name}/LICENSE`, "utf8")}`);
  await writeFile(LICENSES, (await Promise.all(texts)).join(`\n${"-".repeat(80)}\n\n`));
  const size = gzipSync(await readFile(OUT), { level: 9 }).length;
  console.log(`panels.js: ${size.toLocaleString("en")} bytes compressed`);
  if (size > MOST) {
    console.error(`It may be at most ${MOST.toLocaleString("en")}.`);
    process.exit(1);
  }
}
