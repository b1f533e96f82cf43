import { randomBytes } from 'node:crypto'
import { createBroker } from '../../src/tokens/broker.ts'
import type { Token } from '../../src/tokens/token.ts'

/** Fills the broker's cache and tells what the process has grown by; run with `--expose-gc`. */
const tokens = Number(process.argv[2])
const TOKEN_BYTES = 300
const LIFE_MS = 86_400_000
const quiet = () => {}

const broker = createBroker(
  {
    identity: ['bench'],
    orgSecret: 'bench-org-token-0123456789',
    encryptionKeys: null,
    maxEntries: tokens,
    maxBytes: tokens * 8192,
    mintTimeLimitMs: 10_000,
  },
  {
    mint: async (): Promise<Token> => {
      const receivedAt = Date.now()
      // Texts in one piece, as those are that come from the network.
      const value = randomBytes((TOKEN_BYTES * 3) / 4).toString('base64url')
      const workspaceId = randomBytes(18).toString('hex')
      return {
        value,
        type: 'scoped',
        workspaceId,
        receivedAt,
        expiresAt: receivedAt + LIFE_MS,
      }
    },
    redis: null,
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    observers: { onCache: quiet, onEntries: quiet, onRefresh: quiet },
  },
)

async function issue(index: number): Promise<void> {
  const customerId = Buffer.from(`customer-${index}`).toString()
  await broker.issue(
    {
      customerId,
      workspaceName: customerId,
      type: 'scoped',
      allowedOrigin: null,
      sourceTags: null,
      connectionTags: null,
      tagsAreRequired: false,
      regionId: null,
    },
    { minTtlMs: 0, refresh: false },
  )
}

function settled() {
  for (let turn = 0; turn < 3; turn++) globalThis.gc?.()
  const { heapUsed, external, rss } = process.memoryUsage()
  return { used: heapUsed + external, rss }
}

// The first thousand pay for compiled code and first pages.
for (let index = 0; index < 1000; index++) await issue(index)
const before = settled()
for (let index = 1000; index < tokens + 1000; index++) await issue(index)
const after = settled()
const beside = (grownBy: number) => grownBy / tokens - TOKEN_BYTES
process.stdout.write(
  JSON.stringify({
    tokens,
    usedBytes: beside(after.used - before.used),
    residentBytes: beside(after.rss - before.rss),
  }),
)
