import type { Log } from './log.ts'

/** npm passes a signal on that the process group got already; that is one wish to stop, not two. */
const SAME_SIGNAL_MS = 1000

/**
 * Stops once at SIGTERM or SIGINT and exits with 0, or with 1 when stopping failed. A second signal, more
 * than a second after the first, ends the process at once.
 *
 * Not `close-with-grace`: there every second signal ends the process, and npm sends two.
 */
export function stopOnSignals(log: Log, stop: () => Promise<void>): void {
  let firstAt: number | undefined
  const onSignal = (signal: NodeJS.Signals) => {
    if (firstAt !== undefined) {
      if (performance.now() - firstAt <= SAME_SIGNAL_MS) return
      log.warn({ signal }, 'stopped at once')
      process.exit(1)
    }
    firstAt = performance.now()
    log.info({ signal }, 'stopping')
    stop().then(
      () => {
        log.info({}, 'stopped')
        process.exit(0)
      },
      (err: unknown) => {
        log.error({ err }, 'stopping failed')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
}
