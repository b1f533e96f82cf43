import { appendFile, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { selfSigned } from './certificate.ts'
import { freePort, type PrivateRedis, startPrivateRedis, until } from './private-redis.ts'

type Address = { readonly host: string; readonly port: number }

async function ask(port: number, ...command: readonly string[]): Promise<unknown> {
  const redis = new Redis({ port, host: '127.0.0.1', retryStrategy: null, lazyConnect: true })
  redis.on('error', () => {})
  try {
    await redis.connect()
    const [name = '', ...args] = command
    return await redis.call(name, ...args)
  } finally {
    redis.disconnect()
  }
}

/** What a server answers to a command; for looking and arranging, not for what is tested. */
export const tell = ask

export type SentinelTrio = {
  readonly name: string
  readonly sentinels: readonly Address[]
  readonly nodes: readonly PrivateRedis[]
  master(): Promise<PrivateRedis>
  stop(): Promise<void>
}

/** One master, one replica, three sentinels that agree within about two seconds. */
export async function startSentinelTrio(): Promise<SentinelTrio> {
  const name = 'tokens'
  const first = await startPrivateRedis()
  const second = await startPrivateRedis({
    args: ['--replicaof', '127.0.0.1', `${first.port}`, '--repl-diskless-sync-delay', '0'],
  })
  const nodes = [first, second]
  const sentinels = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'token-broker-sentinel-'))
      const port = await freePort()
      const file = join(folder, 'sentinel.conf')
      await writeFile(
        file,
        [
          `sentinel monitor ${name} 127.0.0.1 ${first.port} 2`,
          `sentinel down-after-milliseconds ${name} 800`,
          `sentinel failover-timeout ${name} 3000`,
          `sentinel parallel-syncs ${name} 1`,
          '',
        ].join('\n'),
      )
      return startPrivateRedis({ port, folder, configFile: file, args: ['--sentinel'] })
    }),
  )
  const master = async () => {
    const address = await ask(sentinels[0]?.port ?? 0, 'SENTINEL', 'get-master-addr-by-name', name)
    const port = Array.isArray(address) ? Number(address[1]) : 0
    const node = nodes.find((each) => each.port === port)
    if (node === undefined) throw new Error('the sentinels know no master')
    return node
  }
  await until(async () => {
    const info = await ask(sentinels[0]?.port ?? 0, 'SENTINEL', 'master', name)
    const fields = Array.isArray(info) ? info : []
    const value = (field: string) => Number(fields[fields.indexOf(field) + 1])
    return value('num-slaves') >= 1 && value('num-other-sentinels') >= 2
  }, 'sentinels that know each other and the replica')
  return {
    name,
    sentinels: sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
    nodes,
    master,
    stop: async () => {
      await Promise.all([...sentinels, ...nodes].map((each) => each.stop()))
    },
  }
}

export type RedisCluster = {
  readonly nodes: readonly PrivateRedis[]
  readonly addresses: readonly Address[]
  /** The node that serves a key now. */
  masterOf(key: string): Promise<PrivateRedis>
  stop(): Promise<void>
}

/** Three masters with a replica each. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const nodes = await Promise.all(
    Array.from({ length: 6 }, () =>
      startPrivateRedis({
        args: [
          ['--cluster-enabled', 'yes'],
          ['--cluster-node-timeout', '1000'],
          ['--cluster-config-file', 'nodes.conf'],
          ['--cluster-announce-hostname', ''],
          ['--cluster-allow-replica-migration', 'no'],
          ['--cluster-replica-validity-factor', '0'],
          ['--repl-diskless-sync-delay', '0'],
        ].flat(),
        clusterBus: true,
      }),
    ),
  )
  const ports = nodes.map(({ port }) => port)
  const ids = await Promise.all(
    ports.map(async (port) => String(await ask(port, 'CLUSTER', 'MYID'))),
  )
  for (const port of ports.slice(1))
    await ask(ports[0] ?? 0, 'CLUSTER', 'MEET', '127.0.0.1', `${port}`)
  const ranges = [
    [0, 5460],
    [5461, 10922],
    [10923, 16383],
  ]
  await Promise.all(
    ranges.map(([from, to], i) =>
      ask(ports[i] ?? 0, 'CLUSTER', 'ADDSLOTSRANGE', `${from}`, `${to}`),
    ),
  )
  await until(async () => {
    const known = await Promise.all(ports.map((port) => ask(port, 'CLUSTER', 'NODES')))
    return known.every((text) => String(text).trim().split('\n').length === 6)
  }, 'nodes that know each other')
  for (const i of [3, 4, 5])
    await until(async () => {
      try {
        await ask(ports[i] ?? 0, 'CLUSTER', 'REPLICATE', ids[i - 3] ?? '')
        return true
      } catch {
        return false
      }
    }, 'a replica')
  await until(
    async () => {
      const infos = await Promise.all(ports.map((port) => ask(port, 'CLUSTER', 'INFO')))
      const links = await Promise.all(
        ports.slice(3).map((port) => ask(port, 'INFO', 'replication')),
      )
      return (
        infos.every((info) => String(info).includes('cluster_state:ok')) &&
        links.every((info) => String(info).includes('master_link_status:up'))
      )
    },
    'a cluster in order',
    20_000,
  )

  return {
    nodes,
    addresses: ports.slice(0, 3).map((port) => ({ host: '127.0.0.1', port })),
    async masterOf(key) {
      const asked = nodes.find((node) => node.isRunning())
      const slot = Number(await ask(asked?.port ?? 0, 'CLUSTER', 'KEYSLOT', key))
      const slots = await ask(asked?.port ?? 0, 'CLUSTER', 'SLOTS')
      for (const range of Array.isArray(slots) ? slots : []) {
        const [from, to, [, port]] = range
        if (slot >= from && slot <= to)
          return nodes.find((node) => node.port === port) ?? Promise.reject(new Error('unknown'))
      }
      throw new Error('no node serves the slot')
    },
    stop: async () => {
      await Promise.all(nodes.map((each) => each.stop()))
    },
  }
}

export type TlsRedis = PrivateRedis & {
  readonly user: { readonly name: string; readonly password: string }
  /** In PEM, of the authority that signed its certificate. */
  readonly ca: string
  /** `rediss://localhost:…`, without user and password. */
  readonly tlsUrl: string
  setPassword(password: string): Promise<void>
}

/** TLS alone on one port, and a user who may do no more than the broker needs, under `keyPrefix`. */
export async function startTlsRedis(keyPrefix: string): Promise<TlsRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'token-broker-tls-'))
  const at = (name: string) => join(folder, name)
  const { key, cert } = await selfSigned()
  await writeFile(at('redis.key'), key)
  await writeFile(at('redis.pem'), cert)
  const tlsPort = await freePort()
  const user = { name: 'token-broker', password: 'p@ss/word:with%signs' }
  const rights = `~${keyPrefix}* &${keyPrefix}* +@read +@write +@scripting +@pubsub +@connection +info +time`
  await writeFile(at('users.acl'), `user default off\n`)
  await appendFile(at('users.acl'), `user admin on >admin ~* &* +@all\n`)
  await appendFile(at('users.acl'), `user ${user.name} on >${user.password} ${rights}\n`)
  const redis = await startPrivateRedis({
    folder,
    args: [
      ['--tls-port', `${tlsPort}`, '--tls-auth-clients', 'no'],
      ['--tls-cert-file', at('redis.pem'), '--tls-key-file', at('redis.key')],
      ['--tls-ca-cert-file', at('redis.pem'), '--aclfile', at('users.acl')],
    ].flat(),
  })
  return {
    ...redis,
    user,
    ca: cert,
    tlsUrl: `rediss://localhost:${tlsPort}`,
    async setPassword(password) {
      const admin = new Redis({ port: redis.port, username: 'admin', password: 'admin' })
      await admin.acl('SETUSER', user.name, 'resetpass', `>${password}`)
      await admin.call('CLIENT', 'KILL', 'USER', user.name)
      admin.disconnect()
    },
  }
}
