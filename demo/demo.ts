import { randomBytes } from 'node:crypto'
import { devNull } from 'node:os'
import { startSandbox } from '../src/sandbox/sandbox.ts'
import { createAirbyte } from './airbyte.ts'
import { startBroker } from './broker-process.ts'
import { closeServer } from './http-server.ts'
import { freePort, LOOPBACK, listenNear } from './ports.ts'
import { AUDIENCE, createSaas } from './saas.ts'

/** Where the pages of `examples/` are that talk to the broker themselves. */
const EXAMPLE_ORIGINS = ['http://localhost:4001', 'http://localhost:5173']

export type DemoSettings = {
  /** The wanted ports; 0 is any. */
  readonly ports: { readonly page: number; readonly airbyte: number; readonly broker: number }
  readonly tokenLifeMs: number
  /** What else the broker is told. */
  readonly broker?: Readonly<Record<string, string>>
  readonly onTaken?: (what: string, wanted: number, used: number) => void
}

export type Demo = Awaited<ReturnType<typeof startDemo>>

/** The whole story on one machine: Airbyte as the browser and the broker see it, the broker, and a SaaS product. */
export async function startDemo({ ports, tokenLifeMs, broker: extra, onTaken }: DemoSettings) {
  const secret = () => randomBytes(24).toString('base64url')
  const serviceKey = `demo-${secret()}`
  const jwtSecret = secret() + secret()
  const client = { id: 'demo-client', secret: secret() }
  const taken = (what: string) => (wanted: number, used: number) => onTaken?.(what, wanted, used)

  const opened: (() => Promise<void>)[] = []
  const close = async () => {
    for (const end of opened.splice(0).reverse()) await end()
  }
  try {
    const sandbox = await startSandbox({
      clients: [client],
      orgTokens: [secret()],
      signingSecret: secret(),
      scopedLifeMs: tokenLifeMs,
      widgetLifeMs: tokenLifeMs,
      dialects: ['applications'],
      remembers: 1000,
    })
    opened.push(() => sandbox.close())

    const places = { origin: '', brokerUrl: '', airbyteUrl: '' }
    const airbyte = createAirbyte(sandbox.verify, () => places.origin)
    const saas = createSaas({
      jwtSecret,
      places: () => places,
      refuseNextCall: airbyte.refuseNextCall,
      setUpstreamDown(down) {
        sandbox.clearFaults()
        if (down) sandbox.fail({ on: 'mint', what: 'status', status: 503, times: 'always' })
      },
    })
    const urlOf = (port: number) => `http://${LOOPBACK}:${port}`
    places.airbyteUrl = urlOf(await listenNear(airbyte.server, ports.airbyte, taken('Airbyte')))
    opened.push(() => closeServer(airbyte.server))
    places.origin = urlOf(await listenNear(saas, ports.page, taken('The page')))
    opened.push(() => closeServer(saas))
    sandbox.configure({ widgetUrl: `${places.airbyteUrl}/embedded-widget` })

    const broker = await startBroker(
      {
        LOG_LEVEL: 'warn',
        AUDIT_LOG: devNull,
        AIRBYTE_API_URL: sandbox.url,
        AIRBYTE_DIALECT: 'applications',
        ORG_TOKEN_SOURCE: 'airbyte-agents',
        AIRBYTE_CLIENT_ID: client.id,
        AIRBYTE_CLIENT_SECRET: client.secret,
        API_KEYS: `demo:${serviceKey}`,
        JWT_SECRET: jwtSecret,
        JWT_AUDIENCE: AUDIENCE,
        WIDGET_ALLOWED_ORIGINS: places.origin,
        CORS_ALLOWED_ORIGINS: [places.origin, ...EXAMPLE_ORIGINS].join(','),
        RATE_LIMIT_MAX: '30',
        RATE_LIMIT_WINDOW: '30s',
        SHUTDOWN_DELAY: '1ms',
        SHUTDOWN_GRACE: '2s',
        ...extra,
      },
      await freePort(ports.broker, taken('The broker')),
    )
    opened.push(() => broker.close())
    places.brokerUrl = broker.url

    return {
      pageUrl: `${places.origin}/`,
      brokerUrl: broker.url,
      airbyteUrl: places.airbyteUrl,
      serviceKey,
      jwtSecret,
      jwtAudience: AUDIENCE,
      sandbox,
      /** Resolves if the broker ends by itself. */
      brokerEnded: broker.ended,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
