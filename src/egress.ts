import type { Agent, Dispatcher } from 'undici'

export type EgressRoute = {
  /** For https URLs alone; clear text stays inside the network that allows it. `null`: none. */
  readonly proxyUrl: string | null
  readonly noProxy?: string | null
}

export type Egress = {
  request(call: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData>
  /** Ends what is under way. */
  destroy(): Promise<void>
}

/** Outgoing HTTP. Its library is the largest of all, and no start needs it: loaded with the first call, or before. */
export function createEgress(route: EgressRoute, options: Agent.Options): Egress {
  let dispatcher: Promise<Dispatcher> | undefined
  let isDestroyed = false

  async function open(): Promise<Dispatcher> {
    const { Agent, EnvHttpProxyAgent } = await loadEgress()
    const opened =
      route.proxyUrl === null
        ? new Agent(options)
        : new EnvHttpProxyAgent({
            ...options,
            httpProxy: '',
            httpsProxy: route.proxyUrl,
            noProxy: route.noProxy ?? '',
          })
    if (isDestroyed) await opened.destroy()
    return opened
  }

  return {
    async request(call) {
      dispatcher ??= open()
      return (await dispatcher).request(call)
    },
    async destroy() {
      isDestroyed = true
      await (await dispatcher)?.destroy()
    },
  }
}

export const loadEgress = () => import('undici')
