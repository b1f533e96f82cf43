import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { keepEvidence } from './evidence.ts'
import type { LogLine } from './service.ts'

const START = fileURLToPath(new URL('../../src/start.js', import.meta.url))

export type BrokerProcess = {
  readonly child: ChildProcess
  /** Where callers reach it, once it listens. */
  readonly url: string
  readonly opsUrl: string
  logged(): LogLine[]
  /** Resolves with the first line of the log that fits. */
  line(fits: (line: LogLine) => boolean): Promise<LogLine>
  /** The exit status, or the signal that ended it. */
  readonly exit: Promise<number | string>
}

/** `src/start.js` as a process of its own, with `env` and nothing else in its environment. Ends with the test. */
export function spawnBroker(
  env: Record<string, string | undefined>,
): Omit<BrokerProcess, 'url' | 'opsUrl'> {
  const child = spawn(process.execPath, [START], {
    env: { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const waiting = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      output += chunk
      for (const look of waiting) look()
    })
  const exit = once(child, 'exit').then(([code, signal]): number | string => code ?? signal)

  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await exit
    keepEvidence({ secrets: [], texts: [output] })
  })

  const logged = () =>
    output
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line): LogLine => JSON.parse(line))
  const line = (fits: (line: LogLine) => boolean) =>
    new Promise<LogLine>((resolve, reject) => {
      const look = () => {
        const found = logged().find(fits)
        if (!found) return
        waiting.delete(look)
        resolve(found)
      }
      waiting.add(look)
      void exit.then((status) => reject(new Error(`it ended with ${status} first:\n${output}`)))
      look()
    })
  return { child, logged, line, exit }
}

/** The same, once it listens. */
export async function startBrokerProcess(
  env: Record<string, string | undefined>,
): Promise<BrokerProcess> {
  const started = spawnBroker(env)
  const { url, ops_url } = await started.line(({ msg }) => msg === 'listening')
  return { ...started, url: String(url), opsUrl: String(ops_url) }
}
