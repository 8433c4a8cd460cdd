// Bundles program.cjs of the working directory into bundle.cjs: node bundle.mjs <bundler> [external]. It lies among the tools,
// so that it finds them.
import path from 'node:path';

const [name, external] = process.argv.slice(2);
const ofPackage = /^sluice(\/|$)/;

const BUNDLERS = { esbuild, rolldown, webpack };
await BUNDLERS[name]();

async function esbuild() {
  const { build } = await import('esbuild');
  await build({
    entryPoints: ['program.cjs'],
    outfile: 'bundle.cjs',
    bundle: true,
    platform: 'node',
    external: external ? ['sluice'] : [],
  });
}

async function rolldown() {
  const { build } = await import('rolldown');
  await build({
    input: 'program.cjs',
    platform: 'node',
    external: external ? ofPackage : [],
    output: { file: 'bundle.cjs', format: 'cjs', codeSplitting: false },
  });
}

async function webpack() {
  const { default: webpack } = await import('webpack');
  const compiler = webpack({
    mode: 'production',
    context: process.cwd(),
    entry: './program.cjs',
    target: 'node',
    // Node shows the line of an error, and all of it would be one.
    optimization: { minimize: false },
    output: { path: process.cwd(), filename: 'bundle.cjs' },
    externalsType: 'commonjs',
    externals: external ? [ofPackage] : [],
  });
  const stats = await new Promise((resolve, reject) => {
    compiler.run((error, done) => (error ? reject(error) : resolve(done)));
  });
  if (stats.hasErrors()) throw new Error(stats.toString({ all: false, errors: true }));
  console.log(path.resolve('bundle.cjs'));
}
