import { type ChildProcess, execFileSync, fork, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { freePort } from '../support/private-redis.ts'
import type { Job, LoadResult } from './load/load.ts'

const SERVER_CORE = '0'
const LOAD_CORE = '1'

const pathOf = (file: string) => fileURLToPath(new URL(file, import.meta.url))

/** Everything but the server that is measured: the load, Redis, the upstream and this process share a core. */
function canPin(): boolean {
  if (availableParallelism() < 2) return false
  try {
    execFileSync('taskset', ['-cp', LOAD_CORE, `${process.pid}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

export type Server = {
  readonly port: number
  readonly pid: number
  /** `null`: it shares them all. */
  readonly core: string | null
  stop(): Promise<void>
}

export type Environment = Readonly<Record<string, string>>

export function createProcesses() {
  const isPinned = canPin()
  const running = new Set<ChildProcess>()

  function start(command: readonly string[], env: Environment, stdio: StdioOptions): ChildProcess {
    const [program = '', ...args] = command
    const child = spawn(program, args, { env: { PATH: process.env.PATH, ...env }, stdio })
    running.add(child)
    child.on('exit', () => running.delete(child))
    return child
  }

  async function stop(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  return {
    isPinned,

    /** Its standard output goes to somebody who reads it, as in a container. Resolves once `probe` says 200. */
    async server(
      file: string,
      env: Environment,
      options: { readonly probe?: string; readonly beside?: boolean } = {},
    ): Promise<Server> {
      const port = await freePort()
      const reader = start(['cat'], {}, ['pipe', 'ignore', 'inherit'])
      const pin = isPinned && !options.beside ? ['taskset', '-c', SERVER_CORE] : []
      const child = start(
        [...pin, process.execPath, pathOf(file)],
        { ...env, PORT: `${port}`, HOST: '127.0.0.1' },
        ['ignore', reader.stdin, 'inherit'],
      )
      await untilReplies(`http://127.0.0.1:${port}${options.probe ?? '/'}`, child)
      return {
        port,
        pid: child.pid ?? 0,
        core: isPinned ? SERVER_CORE : null,
        async stop() {
          await stop(child)
          await stop(reader)
        },
      }
    },

    async load(job: Job): Promise<LoadResult> {
      const child = fork(pathOf('./load/main.ts'), { stdio: 'inherit' })
      running.add(child)
      const result = await new Promise<LoadResult>((resolve, reject) => {
        child.once('message', (message: LoadResult) => resolve(message))
        child.once('exit', (code) => reject(new Error(`the load ended with ${code}`)))
        child.send(job)
      })
      const failed = Object.entries(result.failures)
      if (failed.length > 0) throw new Error(`replies that are no success: ${failed.join('; ')}`)
      return result
    },

    stopAll: () => Promise.all([...running].map(stop)),
  }
}

export type Processes = ReturnType<typeof createProcesses>

/** Until there is a reply, and of a path that tells it, that it is 200. */
async function untilReplies(url: string, child: ChildProcess): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`a server ended with ${child.exitCode}`)
    const status = await fetch(url).then(
      (reply) => reply.arrayBuffer().then(() => reply.status),
      () => 0,
    )
    if (status === 200 || (status !== 0 && status !== 503)) return
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
