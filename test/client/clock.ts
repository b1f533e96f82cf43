import { onTestFinished, vi } from 'vitest'

/** The client's clocks and timers stand still and are moved by hand. Sockets go on as ever. */
export function stopClock() {
  vi.useFakeTimers({ toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  return {
    /** Lets `seconds` pass, and what is due happen. */
    async pass(seconds: number) {
      await vi.advanceTimersByTimeAsync(seconds * 1000)
      await settled()
    },
    /** The machine sleeps: the wall clock goes on, timers and the steady clock do not. */
    sleep(seconds: number) {
      vi.setSystemTime(Date.now() + seconds * 1000)
    },
  }
}

/** Waits, in real time, until `condition` holds. */
export async function until(condition: () => boolean) {
  const end = process.hrtime.bigint() + 5_000_000_000n
  while (!condition()) {
    if (process.hrtime.bigint() > end) throw new Error('It did not come to pass within 5 s')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Long enough, in real time, for a request on the loopback to come back. */
async function settled() {
  const end = process.hrtime.bigint() + 20_000_000n
  await until(() => process.hrtime.bigint() > end)
}
