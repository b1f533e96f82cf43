// Runs on whatever Node the machine has (20 or newer) and with nothing installed: it installs the
// packages, the right Node among them, and starts the demo with that.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const node = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url))

const [major] = process.versions.node.split('.').map(Number)
if (major < 20) fail(`The demo needs Node 20 or newer to start; this is ${process.versions.node}.`)

if (!isInstalled()) {
  console.log('Installing what the demo needs (npm ci); the first time this takes a minute.')
  const npm = process.env.npm_execpath
  const [command, args] = npm ? [process.execPath, [npm, 'ci']] : ['npm', ['ci']]
  const { status } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (status !== 0) fail('The installation failed: its own words are above.')
}

const demo = spawn(existsSync(node) ? node : process.execPath, ['demo/main.ts'], {
  cwd: root,
  stdio: 'inherit',
})
// Ctrl-C reaches the demo from the terminal; a signal that was sent to this process alone does not.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    demo.kill(signal)
  })
demo.on('exit', (code) => process.exit(code ?? 1))

/** Whether node_modules holds just what the lock file names, for this machine. */
function isInstalled() {
  try {
    const wanted = packagesOf('package-lock.json')
    const present = packagesOf('node_modules/.package-lock.json')
    return Object.entries(wanted).every(
      ([path, { version, optional }]) =>
        path === '' || (path in present ? present[path].version === version : optional === true),
    )
  } catch {
    return false
  }
}

function packagesOf(file) {
  return JSON.parse(readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')).packages
}

function fail(message) {
  console.error(message)
  process.exit(1)
}
