import { setTimeout as after } from 'node:timers/promises'
import { Pool } from 'undici'

export type Asked = {
  readonly customer: string
  readonly method: 'GET' | 'DELETE'
  readonly query: string
  readonly headers: Record<string, string>
}

export type Told = { readonly status: number; readonly body: string; readonly tookMs: number }

/** Requests at a steady rate, in turn to each replica, whether or not earlier ones are answered. */
export function startLoad(
  urls: readonly string[],
  perSecond: number,
  next: (number: number) => Asked,
  onReply: (asked: Asked & { sentAt: number }, told: Told) => void,
) {
  const pools = urls.map((url) => new Pool(url, { connections: 100 }))
  const startedAt = performance.now()
  const running = new Set<Promise<void>>()
  let sent = 0
  let going = true

  async function request(number: number): Promise<void> {
    const asked = { ...next(number), sentAt: Date.now() }
    const from = performance.now()
    const tell = (status: number, body: string) =>
      onReply(asked, { status, body, tookMs: performance.now() - from })
    try {
      const { method, headers } = asked
      const path = `/customers/${asked.customer}/token${asked.query}`
      const reply = await pools[number % pools.length]?.request({ method, path, headers })
      tell(reply?.statusCode ?? 0, (await reply?.body.text()) ?? '')
    } catch (error) {
      tell(0, String(error))
    }
  }

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
    async stop() {
      going = false
      await ended
      await Promise.all(pools.map((pool) => pool.destroy()))
      return { sent, perSecond: sent / ((performance.now() - startedAt) / 1000) }
    },
  }
}
