import type { Reply } from './http-calls.ts'

const LONGEST_MS = 5 * 60_000

/**
 * How long the upstream asks us to stay away; `null` when it does not say. Bounded, so that one odd
 * header does not stop the service for a day.
 */
export function namedPauseMs(reply: Reply, now: number): number | null {
  const pause =
    afterHeader(reply.header('retry-after'), now) ??
    resetHeader(reply.header('x-ratelimit-reset'), now)
  return pause === null ? null : Math.min(Math.max(pause, 0), LONGEST_MS)
}

function afterHeader(value: string | undefined, now: number): number | null {
  if (value === undefined) return null
  if (/^\s*\d+(\.\d+)?\s*$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? null : date - now
}

/** Seconds from now, or a moment in epoch seconds or milliseconds: servers do all three. */
function resetHeader(value: string | undefined, now: number): number | null {
  if (value === undefined || !/^\s*\d+(\.\d+)?\s*$/.test(value)) return null
  const number = Number(value)
  if (number > 1e11) return number - now
  return number > 1e8 ? number * 1000 - now : number * 1000
}
