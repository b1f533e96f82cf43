import { setTimeout as after } from 'node:timers/promises'

/** Requests at a steady rate, whether or not earlier ones are answered: every so often what is due by then. */
export function startSteadyLoad(perSecond: number, request: (number: number) => Promise<void>) {
  const startedAt = performance.now()
  const running = new Set<Promise<void>>()
  let sent = 0
  let going = true
  const ended = (async () => {
    while (going) {
      const due = ((performance.now() - startedAt) / 1000) * perSecond
      for (; sent < due; sent++) {
        const one = request(sent)
        running.add(one)
        void one.finally(() => running.delete(one))
      }
      await after(2)
    }
    await Promise.all(running)
  })()
  return {
    /** Resolves once all that was sent has been answered. */
    async stop() {
      going = false
      await ended
      return { sent, seconds: (performance.now() - startedAt) / 1000 }
    },
  }
}
