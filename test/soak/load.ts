import { Pool } from 'undici'
import { startSteadyLoad } from '../support/steady-load.ts'

export type Asked = {
  readonly customer: string
  readonly method: 'GET' | 'DELETE'
  readonly query: string
  readonly headers: Record<string, string>
}

export type Told = { readonly status: number; readonly body: string; readonly tookMs: number }

/** A steady load, in turn on each replica. */
export function startLoad(
  urls: readonly string[],
  perSecond: number,
  next: (number: number) => Asked,
  onReply: (asked: Asked & { sentAt: number }, told: Told) => void,
) {
  const pools = urls.map((url) => new Pool(url, { connections: 100 }))

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

  const load = startSteadyLoad(perSecond, request)
  return {
    async stop() {
      const { sent, seconds } = await load.stop()
      await Promise.all(pools.map((pool) => pool.destroy()))
      return { sent, perSecond: sent / seconds }
    },
  }
}
