import { GenericContainer } from 'testcontainers'
import type { TestProject } from 'vitest/node'
import { hasRedisServer, startPrivateRedis } from './private-redis.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** A Redis that all tests share: each takes a key prefix of its own, and none flushes it. */
    redisUrl: string
  }
}

type Shared = { readonly url: string; stop(): Promise<unknown> }

/** `TEST_REDIS_URL`, else a container, else a server of our own on a free port. */
export async function setup(project: TestProject): Promise<() => Promise<unknown>> {
  const redis = given() ?? (await inContainer()) ?? (await ofOurOwn())
  if (redis === null)
    throw new Error(
      'the tests need a Redis: set TEST_REDIS_URL to one that may be written to, or start a container engine ' +
        '(redis:8-alpine is used), or install redis-server or valkey-server',
    )
  project.provide('redisUrl', redis.url)
  return redis.stop
}

function given(): Shared | null {
  const url = process.env.TEST_REDIS_URL
  return url ? { url, stop: async () => {} } : null
}

/** An engine that does not answer, or cannot get the image, is none. */
async function inContainer(): Promise<Shared | null> {
  try {
    const container = await new GenericContainer('redis:8-alpine').withExposedPorts(6379).start()
    const url = `redis://${container.getHost()}:${container.getMappedPort(6379)}`
    return { url, stop: () => container.stop() }
  } catch {
    return null
  }
}

async function ofOurOwn(): Promise<Shared | null> {
  return (await hasRedisServer()) ? startPrivateRedis() : null
}
