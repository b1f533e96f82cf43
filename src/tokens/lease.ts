import type { RedisLink } from '../redis/link.ts'
import { releaseScript, renewScript } from './redis-scripts.ts'

/**
 * Short, so that a replica that is killed delays the others by little more than this, and renewed often,
 * so that a mint may take as long as it takes.
 */
export const LEASE_MS = 1_500
const RENEW_EVERY_MS = 400

/** A place in the queue of mints, and the id that everything written under it carries. */
export type Lease = { readonly key: string; readonly variant: string; readonly owner: string }

export type Leases = {
  /** Keeps it alive until `letGo`. */
  hold(lease: Lease): void
  /** The lease has been given back, or will be by what follows. */
  letGo(lease: Lease): void
  giveBack(lease: Lease): Promise<void>
  close(): Promise<void>
}

export function createLeases(link: RedisLink): Leases {
  const held = new Set<Lease>()
  let timer: NodeJS.Timeout | undefined

  async function renew(lease: Lease): Promise<void> {
    const { key, variant, owner } = lease
    try {
      const mine = await link.run((redis) => renewScript(redis, key, variant, owner, LEASE_MS))
      // Lost: somebody else may be minting, and what comes of ours is not stored over theirs.
      if (mine === 0) held.delete(lease)
    } catch {
      // The next round tries again; whether the lease lived that long is Redis's to say.
    }
  }

  function renewAll(): void {
    for (const lease of held) void renew(lease)
    timer = held.size > 0 ? setTimeout(renewAll, RENEW_EVERY_MS).unref() : undefined
  }

  async function giveBack(lease: Lease): Promise<void> {
    held.delete(lease)
    const { key, variant, owner } = lease
    try {
      await link.run((redis) => releaseScript(redis, key, variant, owner))
    } catch {
      // It runs out by itself.
    }
  }

  return {
    hold(lease) {
      held.add(lease)
      timer ??= setTimeout(renewAll, RENEW_EVERY_MS).unref()
    },
    letGo: (lease) => {
      held.delete(lease)
    },
    giveBack,
    async close() {
      clearTimeout(timer)
      await Promise.all([...held].map(giveBack))
    },
  }
}
