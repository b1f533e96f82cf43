import { createHmac } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import type { RedisLink } from '../redis/link.ts'
import { createScript } from '../redis/script.ts'
import type { Sealer } from './seal.ts'
import { TOKEN_TYPES, type Token } from './token.ts'

const Holder = z.object({
  type: z.enum(TOKEN_TYPES),
  /** The kind of caller, and its name or digest. */
  caller: z.string(),
  expiresAt: z.number(),
  /** The audit's name for the token. */
  fingerprint: z.string(),
})

/** Somebody who was given a token that still lives. */
export type Holder = z.infer<typeof Holder>

export type Holders = {
  /** Notes that `caller` has been given the token. Costs one look-up when that is known already. */
  note(customerId: string, token: Token, caller: string): void
  /** All replicas' notes, the ones with the longest to live first; this one's alone while Redis is away. */
  of(customerId: string): Promise<Holder[]>
}

export type HoldersDeps = {
  readonly link: RedisLink | null
  readonly sealer: () => Sealer
  readonly hmacKey: Buffer
  readonly fingerprint: (token: string) => string
  readonly now: () => number
}

/**
 * A hash a customer, its fields named `<ends at>:<digest>`. field, sealed, now, least life of the hash ms -> 1.
 * What has ended goes once there is much of it.
 */
const noteScript = createScript(`
local hash, now = KEYS[1], tonumber(ARGV[3])
redis.call('HSET', hash, ARGV[1], ARGV[2])
if redis.call('PTTL', hash) < tonumber(ARGV[4]) then redis.call('PEXPIRE', hash, ARGV[4]) end
if redis.call('HLEN', hash) > 100 then
  for _, field in ipairs(redis.call('HKEYS', hash)) do
    local ends = tonumber(string.match(field, '^(%d+):'))
    if not ends or ends <= now then redis.call('HDEL', hash, field) end
  end
end
return 1
`)

const MOST_CUSTOMERS = 10_000
const MOST_PER_CUSTOMER = 100

/** Who holds unexpired tokens of a customer, for the hour in which somebody has to know. Best effort: nothing waits for it. */
export function createHolders(deps: HoldersDeps): Holders {
  const { link, sealer, hmacKey, fingerprint, now } = deps
  const noted = new WeakMap<Token, Set<string>>()
  const local = new LRUCache<string, Map<string, Holder>>({ max: MOST_CUSTOMERS })
  const digest = (text: string) => createHmac('sha256', hmacKey).update(text).digest('base64url')

  const keep = (customerId: string, field: string, holder: Holder) => {
    const held = local.get(customerId) ?? new Map<string, Holder>()
    for (const [name, { expiresAt }] of held)
      if (expiresAt <= now() || held.size >= MOST_PER_CUSTOMER) held.delete(name)
    held.set(field, holder)
    local.set(customerId, held)
  }

  async function share(customerId: string, field: string, holder: Holder): Promise<void> {
    const name = digest(customerId)
    const key = link?.key(`v1:holders:${name}`) ?? ''
    const sealed = sealer().seal(`v1 holder ${name} ${field}`, JSON.stringify(holder))
    const lifeMs = Math.max(1000, Math.ceil(holder.expiresAt - now()))
    await link?.run((redis) => noteScript(redis, key, field, sealed, Math.floor(now()), lifeMs))
  }

  async function shared(customerId: string): Promise<Map<string, Holder>> {
    const name = digest(customerId)
    const entries =
      (await link?.run((redis) => redis.hgetall(link.key(`v1:holders:${name}`)))) ?? {}
    const holders = new Map<string, Holder>()
    for (const [field, sealed] of Object.entries(entries)) {
      const text = sealer().open(`v1 holder ${name} ${field}`, sealed)
      const holder = text === null ? undefined : Holder.safeParse(JSON.parse(text)).data
      if (holder) holders.set(field, holder)
    }
    return holders
  }

  return {
    note(customerId, token, caller) {
      const callers = noted.get(token)
      if (callers?.has(caller)) return
      if (callers) callers.add(caller)
      else noted.set(token, new Set([caller]))
      const holder = {
        type: token.type,
        caller,
        expiresAt: token.expiresAt,
        fingerprint: fingerprint(token.value),
      }
      const field = `${Math.floor(token.expiresAt)}:${digest(`${holder.fingerprint} ${caller}`)}`
      keep(customerId, field, holder)
      share(customerId, field, holder).catch(() => undefined)
    },

    async of(customerId) {
      const all = new Map([
        ...(local.get(customerId) ?? []),
        ...(await shared(customerId).catch(() => new Map<string, Holder>())),
      ])
      return [...all.values()]
        .filter(({ expiresAt }) => expiresAt > now())
        .sort((one, other) => other.expiresAt - one.expiresAt)
    },
  }
}
