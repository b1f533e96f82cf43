import { createHash } from 'node:crypto'
import type { RedisClient } from './link.ts'
import { isUnknownScript } from './replies.ts'

/** Runs one Lua script over one key, so that it touches one slot of a cluster. */
export type Script = (
  redis: RedisClient,
  key: string,
  ...args: readonly (string | number)[]
) => Promise<unknown>

/** A script is sent whole only to a server that does not know it yet. */
export function createScript(lua: string): Script {
  const sha = createHash('sha1').update(lua).digest('hex')
  return async (redis, key, ...args) => {
    try {
      return await redis.evalsha(sha, 1, key, ...args)
    } catch (error) {
      if (!isUnknownScript(error)) throw error
      return redis.eval(lua, 1, key, ...args)
    }
  }
}
