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
      // Copied out of its buffer as one text, as what comes from the network is.
      const value = randomBytes((TOKEN_BYTES * 3) / 4).toString('base64url')
      return {
        value,
        type: 'scoped',
        workspaceId: crypto.randomUUID(),
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
  const customerId = `customer-${index}`
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

function settledBytes(): number {
  for (let turn = 0; turn < 3; turn++) globalThis.gc?.()
  return process.memoryUsage().rss
}

// The first thousand pay for compiled code and first pages.
for (let index = 0; index < 1000; index++) await issue(index)
const before = settledBytes()
for (let index = 1000; index < tokens + 1000; index++) await issue(index)
const perToken = (settledBytes() - before) / tokens
process.stdout.write(JSON.stringify({ tokens, bytesBesideToken: perToken - TOKEN_BYTES }))
