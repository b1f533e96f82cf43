import { flushCompileCache } from 'node:module'
import { createApp } from './app.ts'
import { createSettingsView } from './config/settings-view.ts'
import { loadConfig } from './config.ts'
import { loadEgress } from './egress.ts'
import { createLogger } from './logger.ts'
import { createOutput, createPrettyOutput } from './output.ts'
import { stopOnSignals } from './signals.ts'
import { readVersion } from './version.ts'
import { watchFiles } from './watch-files.ts'

/** `EX_CONFIG` of sysexits.h: trying again changes nothing until somebody changes the configuration. */
const EXIT_MISCONFIGURED = 78

/** Who waits for this process to be ready waits no more. */
const LOAD_REST_AFTER_MS = 1000

const output = process.stdout.isTTY ? await createPrettyOutput() : createOutput()
process.on('exit', () => output.flush())

const loaded = loadConfig(process.env)
if (!loaded.ok) {
  const log = createLogger('info', output)
  for (const problem of loaded.problems) log.fatal({ problem }, 'the configuration is not valid')
  process.exit(EXIT_MISCONFIGURED)
}
const { config, files } = loaded
const settings = createSettingsView(loaded.report)
const log = createLogger(config.log.level, output)

// Whatever this is, the state behind it is unknown: better a fresh process than a guess.
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (err) => {
    log.fatal({ err }, 'unhandled error')
    process.exit(1)
  })
}

// Loaded only where it is wanted: it is larger than the service.
const tracing =
  config.tracing &&
  (await import('./tracing.ts')).createTracing({ ...config.tracing, version: readVersion() })

const app = await createApp(config, {
  log,
  output,
  settings: settings.shown,
  ...(tracing && { tracing }),
})
// Before the output's own: what it is given then must still be written.
process.prependListener('exit', () => app.flushAudit())

if (config.callers.anyone)
  log.warn({}, 'AUTH=none: everybody who reaches this service can have a token for any customer')

const watched = watchFiles(files, () => {
  const next = loadConfig(process.env)
  if (next.ok) {
    app.reconfigure(next.config)
    settings.update(next.report)
    log.info({}, 'a secret file has changed and is in use')
  } else
    log.error(
      { problems: next.problems },
      'a secret file has changed, and is not usable; the old secrets stay',
    )
})

process.on('SIGHUP', () => {
  app.rereadFiles().catch((err: unknown) => log.error({ err }, 'files could not be read again'))
})

stopOnSignals(log, async () => {
  app.announceStop()
  watched.close()
  await new Promise((resolve) => setTimeout(resolve, config.shutdown.delayMs))
  await app.close(config.shutdown.graceMs)
})

try {
  const { url, opsUrl } = await app.listen()
  log.info({ url, ops_url: opsUrl }, 'listening')
  setTimeout(loadRest, LOAD_REST_AFTER_MS).unref()
} catch (err) {
  log.fatal({ err }, 'the port cannot be opened: see PORT, OPS_PORT and HOST')
  process.exit(1)
}

/** What the first calls would load, so that they need not wait. The end may come without a warning: all is kept now. */
async function loadRest(): Promise<void> {
  await loadEgress()
  flushCompileCache()
}
