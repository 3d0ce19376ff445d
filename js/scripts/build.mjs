// Builds what the Python package ships: the widget's module and the JupyterLab extension.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { minify } from "terser";
import { leanUPlot } from "./uplot.mjs";

const js = dirname(dirname(fileURLToPath(import.meta.url)));
const python = join(dirname(js), "jupyter_trainlive");
const widget = join(python, "notebook", "static");
const labextension = join(python, "labextension");
const common = { bundle: true, format: "esm", target: "es2022", legalComments: "none", logLevel: "warning", plugins: [leanUPlot] };

function clean(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
}

clean(widget);
await build({ ...common, minify: true, entryPoints: [join(js, "widget/src/index.ts")], outfile: join(widget, "widget.js") });
// A second minifier finds 3 % more, and the module goes through the kernel whenever a job is shown.
const module = readFileSync(join(widget, "widget.js"), "utf8");
writeFileSync(join(widget, "widget.js"), (await minify(module, { module: true, ecma: 2020, compress: { passes: 2 } })).code);
await build({ ...common, minify: true, entryPoints: [join(js, "core/style/index.css")], outfile: join(widget, "widget.css") });

// esbuild turns the extension's TypeScript into one module; the builder then federates it with JupyterLab's own packages.
const lib = join(js, "lab", "lib");
clean(lib);
clean(labextension);
await build({ ...common, entryPoints: [join(js, "lab/src/index.ts")], outfile: join(lib, "index.js"), external: ["@jupyterlab/*", "@lumino/*"] });
await build({ ...common, minify: true, entryPoints: [join(js, "lab/style/index.css")], outfile: join(lib, "style.css") });
const require = createRequire(import.meta.url);
const builder = join(dirname(require.resolve("@jupyter/builder/package.json")), "lib", "build-labextension.js");
const coreMeta = require.resolve("@jupyterlab/core-meta/core.package.json");
execFileSync(process.execPath, [builder, "--core-package-file", coreMeta, join(js, "lab")], { stdio: ["ignore", "ignore", "inherit"] });
// What `pip` writes into install.json tells JupyterLab's manager how to remove the extension.
cpSync(join(js, "lab", "install.json"), join(labextension, "install.json"));

for (const file of ["widget.js", "widget.css"]) {
  console.log(relative(dirname(js), join(widget, file)), statSync(join(widget, file)).size, "bytes");
}
