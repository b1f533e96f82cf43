import { setTimeout as after } from 'node:timers/promises'
import { Pool } from 'undici'
import { onTestFinished } from 'vitest'

/** As load balancers probe: often, and each with a short patience. */
const PROBE_EVERY_MS = 100

type Target = { readonly url: string; readonly pool: Pool; isIn: boolean }

export type Answer = { readonly status: number; readonly body: string; readonly tookMs: number }

/**
 * A load balancer in the little that matters: it goes round the replicas that say they are ready, over
 * connections that are kept, and takes a replica out when it is not ready or takes no connection. It sends
 * no request a second time.
 */
export function createBalancer() {
  const targets = new Map<string, Target>()
  let turn = 0
  let probing = true

  async function isReady({ url }: Target): Promise<boolean> {
    try {
      const reply = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(2000) })
      await reply.arrayBuffer()
      return reply.status === 200
    } catch {
      return false
    }
  }

  const probes = (async () => {
    while (probing) {
      await Promise.all(
        [...targets.values()].map(async (target) => {
          target.isIn = await isReady(target)
        }),
      )
      await after(PROBE_EVERY_MS)
    }
  })()
  onTestFinished(async () => {
    probing = false
    await probes
    await Promise.all([...targets.values()].map(({ pool }) => pool.destroy()))
  })

  return {
    add(url: string) {
      targets.set(url, { url, pool: new Pool(url, { connections: 64 }), isIn: false })
    },
    async remove(url: string) {
      const target = targets.get(url)
      targets.delete(url)
      await target?.pool.destroy()
    },
    isIn: (url: string) => targets.get(url)?.isIn ?? false,
    async get(path: string, headers: Record<string, string>): Promise<Answer> {
      const from = performance.now()
      const ready = [...targets.values()].filter(({ isIn }) => isIn)
      const target = ready[turn++ % ready.length]
      if (!target) throw new Error('no replica is ready')
      const reply = await target.pool.request({ method: 'GET', path, headers })
      const body = await reply.body.text()
      return { status: reply.statusCode, body, tookMs: performance.now() - from }
    },
  }
}
