import { BrokerError, type FailureCode } from '../errors.ts'
import type { Log } from '../log.ts'
import { type Deadline, orAborted } from './deadline.ts'
import { customDialect, DIALECTS, type Dialect } from './dialects.ts'
import { isAnotherDialect, rejectedMint } from './refusals.ts'
import type { UpstreamSettings } from './settings.ts'

/** One mint in one dialect: what it brought, or what it was refused with. */
export type Tried<T> =
  | { readonly value: T }
  | { readonly status: number; readonly upstreamSays: string }

/** These would befall the next one who tries just as well. */
const SHARED: readonly FailureCode[] = [
  'upstream_unavailable',
  'upstream_timeout',
  'upstream_rate_limited',
]

/** Which dialect the API speaks: the configured one, or the first that it takes a mint in. */
export function createDialectChoice(settings: UpstreamSettings, deps: { readonly log: Log }) {
  const { log } = deps
  let known = configured(settings)
  let probing: Promise<BrokerError | null> | null = null

  async function probe<T>(attempt: (dialect: Dialect) => Promise<Tried<T>>): Promise<T> {
    const answers: { dialect: string; status: number; upstreamSays: string }[] = []
    for (const dialect of DIALECTS) {
      const tried = await attempt(dialect)
      if ('value' in tried) {
        known = dialect
        log.info({ dialect: dialect.name }, 'the API speaks this dialect')
        return tried.value
      }
      answers.push({ dialect: dialect.name, ...tried })
      if (!isAnotherDialect(tried.status)) throw rejectedMint(tried.status)
    }
    log.warn({ answers }, 'the API refused every dialect: see AIRBYTE_API_URL, and AIRBYTE_DIALECT')
    throw rejectedMint(answers.at(-1)?.status ?? 404)
  }

  /** For all who come meanwhile, too: first mints would otherwise all be refused, one dialect after the other. */
  async function probeForAll<T>(attempt: (dialect: Dialect) => Promise<Tried<T>>): Promise<T> {
    const done = Promise.withResolvers<BrokerError | null>()
    probing = done.promise
    let shared: BrokerError | null = null
    try {
      return await probe(attempt)
    } catch (error) {
      if (error instanceof BrokerError && SHARED.includes(error.code)) shared = error
      throw error
    } finally {
      probing = null
      done.resolve(shared)
    }
  }

  return {
    /** `null`: not found out yet. */
    known: (): Dialect | null => known,
    async mint<T>(
      deadline: Deadline,
      attempt: (dialect: Dialect) => Promise<Tried<T>>,
    ): Promise<T> {
      while (known === null) {
        // Nothing may be awaited between this look and the start of a probe.
        if (probing === null) return probeForAll(attempt)
        const shared = await orAborted(probing, deadline.signal).catch(
          () => new BrokerError('upstream_timeout', 'the token service did not answer in time'),
        )
        if (shared !== null) throw shared
      }
      const tried = await attempt(known)
      if ('value' in tried) return tried.value
      throw rejectedMint(tried.status)
    },
  }
}

export type DialectChoice = ReturnType<typeof createDialectChoice>

function configured(settings: UpstreamSettings): Dialect | null {
  if (settings.dialect === 'auto') return null
  if (settings.dialect === 'custom') {
    if (settings.custom === null) throw new Error('the dialect custom needs its paths')
    return customDialect(settings.custom)
  }
  return DIALECTS.find(({ name }) => name === settings.dialect) ?? null
}
