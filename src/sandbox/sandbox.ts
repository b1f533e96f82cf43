import { createServer } from 'node:http'
import { createAnswers } from './answers.ts'
import type { AskedRequest, RequestMatch } from './asked.ts'
import { createControl } from './control.ts'
import { createFaults, type Fault } from './faults.ts'
import { type Counts, createLedger, type Minted } from './ledger.ts'
import { createHolds, type Hold } from './patience.ts'
import { createServe } from './serve.ts'
import { changed, defaultSettings, type SandboxChange, type SandboxSettings } from './settings.ts'
import { createTokens, type Verified } from './tokens.ts'
import { createWorkspaces } from './workspaces.ts'

/** A stand-in for Airbyte's token API that can be looked into, and told to misbehave. */
export type Sandbox = {
  /** `http://host:port`, without a slash at the end. */
  readonly url: string
  readonly settings: SandboxSettings
  /** The first client and the first static org token of the settings. */
  readonly clientId: string
  readonly clientSecret: string
  readonly orgToken: string
  /** Every request in the order of arrival, those of the control interface left out. */
  readonly asked: readonly AskedRequest[]
  /** Every customer token it made, whether or not its reply arrived. */
  readonly minted: readonly Minted[]
  readonly counts: Counts
  /** Whatever nobody may ever see in a log: secrets it accepts, tokens it issued, those inside others too. */
  readonly secrets: readonly string[]
  /** The customers that overlapping first mints have broken for good. */
  readonly broken: readonly string[]
  configure(change: SandboxChange): void
  /** Queues a fault for the next request that fits. */
  fail(fault: Fault): void
  clearFaults(): void
  /** Forgets what it counted and recorded; tokens, workspaces, secrets and faults stay. */
  forget(): void
  hold(on: RequestMatch | RequestMatch['on']): Hold
  /** Whose token this is: a live scoped one, or a widget token as it was handed out. */
  verify(token: string): Verified | null
  /** An org token that no exchange has handed out, as an operator may have got one elsewhere. */
  issueOrgToken(lifeMs?: number): Promise<string>
  /** The org token is refused from now on. */
  revoke(token: string): void
  close(): Promise<void>
}

export async function startSandbox(change: SandboxChange = {}): Promise<Sandbox> {
  let settings = changed(defaultSettings(), change)
  const now = () => settings.now() + settings.clockSkewMs

  const ledger = createLedger(() => settings.remembers)
  const tokens = createTokens(
    () => settings,
    now,
    () => `http://127.0.0.1:${port}/embedded-widget`,
  )
  const workspaces = createWorkspaces(() => settings)
  const faults = createFaults()
  const holds = createHolds()
  const answers = createAnswers({ settings: () => settings, now, ledger, tokens, workspaces })

  function noteSecrets() {
    for (const { secret } of settings.clients) ledger.accepts(secret)
    for (const token of settings.orgTokens) ledger.accepts(token)
    ledger.accepts(settings.signingSecret)
  }
  noteSecrets()

  function configure(wanted: SandboxChange) {
    settings = changed(settings, wanted)
    noteSecrets()
  }

  const control = createControl({
    settings: () => settings,
    configure,
    fail: faults.add,
    clear: faults.clear,
    state: () => ({
      counts: ledger.counts(),
      faults: faults.waiting(),
      broken: workspaces.broken(),
    }),
  })

  const serve = createServe({ settings: () => settings, ledger, answers, faults, holds, control })
  const server = createServer(serve)
  // A pooled connection that ends just as it is used again would be a fault that nobody ordered.
  server.keepAliveTimeout = 60_000
  const port = await listening(server, settings)

  return {
    url: `http://${settings.host === '0.0.0.0' ? '127.0.0.1' : settings.host}:${port}`,
    get settings() {
      return settings
    },
    get clientId() {
      return settings.clients[0]?.id ?? ''
    },
    get clientSecret() {
      return settings.clients[0]?.secret ?? ''
    },
    get orgToken() {
      return settings.orgTokens[0] ?? ''
    },
    asked: ledger.asked,
    minted: ledger.minted,
    get counts() {
      return ledger.counts()
    },
    get secrets() {
      return ledger.secrets()
    },
    get broken() {
      return workspaces.broken()
    },
    configure,
    fail: faults.add,
    clearFaults: faults.clear,
    forget: ledger.forget,
    hold: (on) => holds.hold(typeof on === 'string' ? { on } : on),
    verify: tokens.verify,
    issueOrgToken: answers.issueOrgToken,
    revoke: tokens.revoke,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function listening(
  server: ReturnType<typeof createServer>,
  { host, port }: SandboxSettings,
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      const address = server.address()
      resolve(typeof address === 'object' && address ? address.port : port)
    })
  })
}
