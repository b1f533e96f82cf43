import { parseArgs } from 'node:util'
import { type Config, loadConfig } from '../config.ts'
import { createClient, type RedisSettings } from '../redis/client.ts'
import { tokenRequest } from '../tokens/request.ts'
import type { TokenRequest } from '../tokens/token.ts'
import { orAborted } from '../upstream/deadline.ts'
import { examineUpstream } from '../upstream/doctor.ts'
import { fine, problem, skipped, type Verdict } from '../upstream/doctor-kit.ts'

type Wish = { readonly json: boolean; readonly mint: string | null }

const USAGE = 'usage: npm run doctor -- [--json] [--mint <customer id>]'

/** `npm run doctor`: one verdict a line, and the exit status that goes with them. */
export async function runDoctor(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  print: (line: string) => void,
): Promise<number> {
  const wish = wishOf(args)
  if (wish === null) {
    print(USAGE)
    return 2
  }
  const verdicts: Verdict[] = []
  for await (const verdict of examine(env, wish)) {
    verdicts.push(verdict)
    if (!wish.json) print(lineOf(verdict))
  }
  const ok = verdicts.every(({ verdict }) => verdict !== 'problem')
  print(wish.json ? JSON.stringify({ ok, verdicts }, null, 2) : summary(ok))
  return ok ? 0 : 1
}

function wishOf(args: readonly string[]): Wish | null {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { json: { type: 'boolean' }, mint: { type: 'string' } },
    })
    return { json: values.json ?? false, mint: values.mint ?? null }
  } catch {
    return null
  }
}

async function* examine(
  env: Readonly<Record<string, string | undefined>>,
  wish: Wish,
): AsyncGenerator<Verdict> {
  const loaded = loadConfig(env)
  if (!loaded.ok) {
    for (const line of loaded.problems) {
      const [setting = ''] = line.split(/[:;, ]/, 1)
      yield problem('settings', line, setting)
    }
    yield skipped('upstream', 'not asked before the settings are right')
    return
  }
  const { config } = loaded
  yield fine('settings', 'are complete and well formed')
  yield await redisVerdict(config.redis)

  const mint = wish.mint === null ? [] : requestsFor(config, wish.mint)
  if (mint === null) {
    yield problem('mint', 'this is not the form of a customer id', 'CUSTOMER_ID_PATTERN')
    return
  }
  const hasWidgetOrigins = config.requests.widgetOrigins.length > 0
  yield* examineUpstream(config.upstream, { mint, hasWidgetOrigins })
}

/** The first of them is the organisation's own workspace, or was somebody's slip: no customer has these names. */
const NEVER_A_CUSTOMER = ['default', '.', '..']

/** What the broker would ask for; `null`: not a customer's id. */
function requestsFor(config: Config, customerId: string): TokenRequest[] | null {
  const isOne = config.http.customerIdPattern.test(customerId)
  if (!isOne || NEVER_A_CUSTOMER.includes(customerId)) return null
  const [allowedOrigin] = config.requests.widgetOrigins
  const scoped = tokenRequest(config.requests, { customerId, type: 'scoped' })
  if (allowedOrigin === undefined) return [scoped]
  return [scoped, tokenRequest(config.requests, { customerId, type: 'widget', allowedOrigin })]
}

const REDIS_PATIENCE_MS = 5_000

async function redisVerdict(settings: RedisSettings | null): Promise<Verdict> {
  if (settings === null) {
    return skipped('redis', 'none is set: one replica, which forgets its tokens when it stops')
  }
  const redis = createClient(settings)
  let reason = 'it does not answer'
  redis.on('error', (error) => {
    reason = 'code' in error ? String(error.code) : error.message
  })
  try {
    // Sentinels and clusters are looked for without end.
    const signal = AbortSignal.timeout(REDIS_PATIENCE_MS)
    await orAborted(redis.connect(), signal)
    await orAborted(redis.ping(), signal)
    return fine('redis', 'answers')
  } catch (error) {
    // A refusal says more than the closed connection that follows it.
    const words =
      error instanceof Error && /^[A-Z]{4,}/.test(error.message) ? error.message : reason
    return problem('redis', `cannot be used: ${words}`, whereabouts(settings))
  } finally {
    redis.disconnect()
  }
}

function whereabouts({ clusterNodes, sentinels }: RedisSettings): string {
  const address = clusterNodes ? 'REDIS_CLUSTER_NODES' : sentinels ? 'REDIS_SENTINELS' : 'REDIS_URL'
  return `${address}, REDIS_USERNAME, REDIS_PASSWORD or REDIS_TLS`
}

const MARKS = { ok: 'ok      ', problem: 'PROBLEM ', skipped: '-       ' } as const

const lineOf = ({ check, verdict, says, settings }: Verdict): string =>
  `${MARKS[verdict]} ${check}: ${says}${settings === null ? '' : `\n           -> ${settings}`}`

const summary = (ok: boolean): string =>
  ok ? '\nThis configuration works.' : '\nThis configuration does not work as it is.'
