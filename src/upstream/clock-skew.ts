import type { Log } from '../log.ts'

const NOTICEABLE_MS = 30_000

/**
 * Watches how far the upstream's clock is from ours: both decide when a token ends. It only says so,
 * once per change; which of the two clocks is right cannot be told from here.
 */
export function createClockWatch(deps: { readonly log: Log }) {
  const reported = new Map<string, number>()
  let observed = false

  return {
    observe(host: string, dateHeader: string | undefined, receivedAt: number): void {
      const theirs = dateHeader === undefined ? Number.NaN : Date.parse(dateHeader)
      if (Number.isNaN(theirs)) return
      observed = true

      const skewMs = theirs - receivedAt
      const noticeable = Math.abs(skewMs) >= NOTICEABLE_MS ? skewMs : 0
      const last = reported.get(host) ?? 0
      if (Math.abs(noticeable - last) < NOTICEABLE_MS) return

      reported.set(host, noticeable)
      const fields = { host, skewSeconds: Math.round(noticeable / 1000) }
      if (noticeable === 0) deps.log.info(fields, 'the clocks agree again')
      else
        deps.log.warn(fields, 'this clock and the upstream’s differ: tokens may end early or late')
    },
    /** Whether any reply has told the time. */
    hasObserved: (): boolean => observed,
    /** The largest difference last seen, to be named beside a lifetime that makes no sense. */
    noticedSeconds: (): number =>
      Math.round(
        [...reported.values()].reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0) / 1000,
      ),
  }
}

export type ClockWatch = ReturnType<typeof createClockWatch>
