import { createClockWatch } from './clock-skew.ts'
import { createDeadline } from './deadline.ts'
import { type Call, CallFailure, createHttpCalls, type Reply } from './http-calls.ts'
import type { UpstreamSettings } from './settings.ts'

/** One line of the doctor's. */
export type Verdict = {
  readonly check: string
  readonly verdict: 'ok' | 'problem' | 'skipped'
  readonly says: string
  /** The settings to change. */
  readonly settings: string | null
}

export const fine = (check: string, says: string): Verdict => ({
  check,
  verdict: 'ok',
  says,
  settings: null,
})

export const problem = (check: string, says: string, settings: string): Verdict => ({
  check,
  verdict: 'problem',
  says,
  settings,
})

export const skipped = (check: string, says: string): Verdict => ({
  check,
  verdict: 'skipped',
  says,
  settings: null,
})

const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** Single calls, made as the broker makes them, without retries: the doctor wants to see what goes wrong. */
export function createKit(settings: UpstreamSettings, now: () => number) {
  const clocks = createClockWatch({ log: silent })
  const http = createHttpCalls(
    { ...settings, connections: 2 },
    { now, clocks, onInFlight: () => {} },
  )

  return {
    settings,
    async call(call: Call): Promise<Reply | CallFailure> {
      const deadline = createDeadline(settings.timeoutMs)
      try {
        return await http.call(call, deadline)
      } catch (error) {
        if (error instanceof CallFailure) return error
        throw error
      } finally {
        deadline.clear()
      }
    },
    /** `null`: nobody has told the time. */
    clockSkewSeconds: (): number | null => (clocks.hasObserved() ? clocks.noticedSeconds() : null),
    close: http.close,
  }
}

export type Kit = ReturnType<typeof createKit>
