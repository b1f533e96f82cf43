import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
const IMAGE = 'redis:8-alpine'

/** A Redis that one test may do anything to. */
export type PrivateRedis = {
  readonly url: string
  readonly port: number
  /** Its files: configuration, certificates, data. */
  readonly folder: string
  /** Ends it at once; with what it held, unless it was started to keep that. */
  kill(): Promise<void>
  /** Starts it again on the same port after `kill`. */
  start(): Promise<void>
  /** It stays connected and answers nothing. */
  pause(): Promise<void>
  resume(): Promise<void>
  isRunning(): boolean
  stop(): Promise<void>
}

export type PrivateRedisOptions = {
  readonly port?: number
  readonly args?: readonly string[]
  readonly folder?: string
  /** Settings that the server itself writes to. */
  readonly configFile?: string
  /** It needs a second port, 10,000 higher. */
  readonly clusterBus?: boolean
}

async function works(command: string, ...args: readonly string[]): Promise<boolean> {
  try {
    await run(command, [...args])
    return true
  } catch {
    return false
  }
}

const servers = ['redis-server', 'valkey-server']

async function serverOnPath(): Promise<string | null> {
  for (const server of servers) if (await works(server, '--version')) return server
  return null
}

export const hasRedisServer = async () => (await serverOnPath()) !== null

/** Started in a container where no server is installed. */
export async function startPrivateRedis(options: PrivateRedisOptions = {}): Promise<PrivateRedis> {
  const port = options.port ?? (await freePort(options.clusterBus === true ? 50_000 : 65_535))
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'token-broker-redis-')))
  const server = await serverOnPath()
  const container = `token-broker-test-${process.pid}-${port}`
  const common = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder]
  const file = options.configFile === undefined ? [] : [options.configFile]
  const args = [...file, ...common, '--save', '', '--appendonly', 'no', ...(options.args ?? [])]
  const inContainer = ['run', '--rm', '--name', container, '--network', 'host']
  let child: ChildProcess | undefined

  async function start(): Promise<void> {
    child =
      server === null
        ? spawn('docker', [
            ...inContainer,
            '-v',
            `${folder}:${folder}`,
            IMAGE,
            'redis-server',
            ...args,
          ])
        : spawn(server, args)
    child.on('error', () => {})
    await untilListening(port)
  }

  async function signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    if (server !== null) child?.kill(name)
    else if (name === 'SIGKILL') await run('docker', ['kill', container])
    else await run('docker', [name === 'SIGSTOP' ? 'pause' : 'unpause', container])
  }

  async function kill(): Promise<void> {
    const ending = child
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return
    const exit = once(ending, 'exit')
    await signal('SIGKILL')
    await exit
  }

  await start()
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    folder,
    kill,
    start,
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    isRunning: () => child?.exitCode === null && child.signalCode === null,
    async stop() {
      await kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const given = new Set<number>()

/** Free a moment ago, and not given to anybody else in this process. */
export async function freePort(highest = 65_535): Promise<number> {
  for (;;) {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    await new Promise((resolve) => server.close(resolve))
    const port = address === null || typeof address === 'string' ? 0 : address.port
    if (port === 0 || port > highest || given.has(port)) continue
    given.add(port)
    return port
  }
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

export async function until(
  isSo: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 10_000,
): Promise<void> {
  const end = Date.now() + withinMs
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${withinMs} ms`)
    await after(10)
  }
}

const untilListening = (port: number) =>
  until(() => isListening(port), `a Redis that listens on ${port}`)
