import { monitorEventLoopDelay } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import { BrokerError } from '../errors.ts'
import type { Log } from '../log.ts'

/** How hard the process has it. */
export type Gauges = {
  /** How late the event loop came to what was due, on average since the last time this was asked. */
  lateMs(): number
  /** How much of the heap that it may have the process uses: 0 to 1. */
  heapShare(): number
  close(): void
}

export type Pressure = {
  isHigh(): boolean
  /** Reads the gauges; done twice a second. */
  sample(): void
  close(): void
}

const SAMPLE_EVERY_MS = 500
const RESOLUTION_MS = 10

/** What a kept token would have to wait for. */
const MOST_LATE_MS = 200
/** Past it the collector works more than we do. */
const MOST_HEAP_SHARE = 0.9
/** A burst or a large collection is over before it helps to refuse anybody. */
const SAMPLES_TO_BEGIN = 4
const SAMPLES_TO_END = 2
const RETRY_AFTER_MS = 2000
/** The gate before the upstream is far narrower; this bounds those who wait for the org token. */
const MOST_MINTS_AT_ONCE = 2000

/** Whether the process has more to do than it can, by its event loop and its heap. */
export function createPressure(deps: { readonly log: Log; readonly gauges?: Gauges }): Pressure {
  const { log, gauges = processGauges() } = deps
  let high = false
  let disagreeing = 0

  function sample(): void {
    const lateMs = Math.round(gauges.lateMs())
    const heapShare = gauges.heapShare()
    const isTooMuch = lateMs > MOST_LATE_MS || heapShare > MOST_HEAP_SHARE
    disagreeing = isTooMuch === high ? 0 : disagreeing + 1
    if (disagreeing < (high ? SAMPLES_TO_END : SAMPLES_TO_BEGIN)) return
    high = isTooMuch
    disagreeing = 0
    const fields = { late_ms: lateMs, heap_share: Math.round(heapShare * 100) / 100 }
    if (high) log.warn(fields, 'overloaded: kept tokens are served, new ones are refused')
    else log.info(fields, 'not overloaded any more')
  }
  const timer = setInterval(sample, SAMPLE_EVERY_MS)
  timer.unref()

  return {
    isHigh: () => high,
    sample,
    close() {
      clearInterval(timer)
      gauges.close()
    },
  }
}

/**
 * Refuses to mint while the process is under pressure, so that the tokens it keeps are handed out as fast as
 * ever: a mint is the one thing here that costs much and can be asked for again.
 */
export function underPressure<Asked extends readonly unknown[], Minted>(
  mint: (...asked: Asked) => Promise<Minted>,
  pressure: Pick<Pressure, 'isHigh'>,
  mostAtOnce = MOST_MINTS_AT_ONCE,
): (...asked: Asked) => Promise<Minted> {
  let underWay = 0
  return async (...asked) => {
    if (pressure.isHigh() || underWay >= mostAtOnce)
      throw new BrokerError('overloaded', 'the service has more to do than it can', {
        retryAfterMs: RETRY_AFTER_MS,
      })
    underWay++
    try {
      return await mint(...asked)
    } finally {
      underWay--
    }
  }
}

function processGauges(): Gauges {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delays.enable()
  return {
    lateMs() {
      // The histogram holds the time from one tick to the next, and so the time between two that are on time.
      const lateMs = delays.count === 0 ? 0 : Math.max(0, delays.mean / 1e6 - RESOLUTION_MS)
      delays.reset()
      return lateMs
    },
    heapShare() {
      const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
      return used / limit
    },
    close: () => void delays.disable(),
  }
}
