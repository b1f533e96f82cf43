import { onTestFinished } from 'vitest'
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts'
import type { SandboxChange } from '../../src/sandbox/settings.ts'
import type { TokenRequest } from '../../src/tokens/token.ts'
import {
  createUpstream,
  type RunningUpstream,
  type UpstreamDeps,
} from '../../src/upstream/create-upstream.ts'
import type { ExchangeOutcome } from '../../src/upstream/exchange-failure.ts'
import type { MintEvent } from '../../src/upstream/mint.ts'
import type { OrgTokenSettings, UpstreamSettings } from '../../src/upstream/settings.ts'

export type LogLine = { level: string; message: string; fields: Record<string, unknown> }

export function recordingLog() {
  const lines: LogLine[] = []
  const at = (level: string) => (fields: object, message: string) => {
    lines.push({ level, message, fields: { ...fields } })
  }
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  return { lines, log }
}

export type Started = {
  sandbox: Sandbox
  upstream: RunningUpstream
  settings: UpstreamSettings
  lines: LogLine[]
  /** The messages at `warn` and above. */
  complaints(): string[]
  exchanges: ExchangeOutcome[]
  mints: MintEvent[]
}

export const cloudToken = (sandbox: Sandbox): OrgTokenSettings => ({
  source: 'airbyte-cloud',
  tokenUrls: [`${sandbox.url}/v1/applications/token`],
  credentials: [{ clientId: sandbox.clientId, clientSecret: sandbox.clientSecret }],
})

export type Wanted = {
  sandbox?: SandboxChange
  settings?: Partial<UpstreamSettings> | ((sandbox: Sandbox) => Partial<UpstreamSettings>)
  deps?: Partial<UpstreamDeps>
}

/** An upstream against a sandbox of its own. Pauses between tries take no time unless told otherwise. */
export async function startedUpstream(wanted: Wanted = {}): Promise<Started> {
  const sandbox = await startSandbox(wanted.sandbox)
  const own = typeof wanted.settings === 'function' ? wanted.settings(sandbox) : wanted.settings
  const settings: UpstreamSettings = {
    apiUrl: sandbox.url,
    dialect: 'embedded',
    custom: null,
    organizationId: null,
    orgToken: cloudToken(sandbox),
    timeoutMs: 5_000,
    maxConcurrency: 32,
    proxyUrl: null,
    ...own,
  }
  const { lines, log } = recordingLog()
  const exchanges: ExchangeOutcome[] = []
  const mints: MintEvent[] = []
  const upstream = createUpstream(settings, {
    log,
    random: () => 0.5,
    sleep: async () => {},
    onExchange: (outcome) => exchanges.push(outcome),
    onMint: (event) => mints.push(event),
    ...wanted.deps,
  })
  onTestFinished(async () => {
    await upstream.close()
    await sandbox.close()
  })
  return {
    sandbox,
    upstream,
    settings,
    lines,
    complaints: () =>
      lines.filter(({ level }) => level === 'warn' || level === 'error').map((l) => l.message),
    exchanges,
    mints,
  }
}

let customers = 0

export const newCustomer = () => `customer-${++customers}`

export function tokenRequest(wanted: Partial<TokenRequest> = {}): TokenRequest {
  const customerId = wanted.customerId ?? newCustomer()
  return {
    customerId,
    workspaceName: customerId,
    type: 'scoped',
    allowedOrigin: null,
    sourceTags: null,
    connectionTags: null,
    tagsAreRequired: false,
    regionId: null,
    ...wanted,
  }
}

export const PAGE = 'https://app.example.com'

export const widgetRequest = (wanted: Partial<TokenRequest> = {}) =>
  tokenRequest({ type: 'widget', allowedOrigin: PAGE, ...wanted })

/** Looks again until it holds; for what happens in the background of a real server. */
export async function eventually(holds: () => boolean): Promise<void> {
  const until = performance.now() + 5_000
  while (!holds()) {
    if (performance.now() > until) throw new Error('it never came to hold')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
