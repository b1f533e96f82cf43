import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export type BrokerProcess = {
  readonly url: string
  /** Resolves when it has ended by itself. */
  readonly ended: Promise<void>
  close(): Promise<void>
}

const START_MS = 20_000
const STOP_MS = 5_000

/** The product as it is: its own process, told everything by its environment, and nothing else by ours. */
export async function startBroker(
  environment: Readonly<Record<string, string>>,
  port: number,
): Promise<BrokerProcess> {
  const start = fileURLToPath(new URL('../src/start.js', import.meta.url))
  const child = spawn(process.execPath, [start], {
    env: { HOST: '127.0.0.1', PORT: String(port), ...environment },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const url = `http://127.0.0.1:${port}`
  const gone = once(child, 'exit').then(() => {})
  const broker = { url, ended: gone, close: () => stop(child, gone) }
  try {
    await ready(url, child)
  } catch (error) {
    await broker.close()
    throw error
  }
  return broker
}

async function ready(url: string, child: ChildProcess): Promise<void> {
  const end = Date.now() + START_MS
  for (;;) {
    if (child.exitCode !== null) throw new Error('The broker did not start: its reason is above.')
    const response = await fetch(`${url}/health/ready`).catch(() => undefined)
    await response?.body?.cancel()
    if (response?.ok) return
    if (Date.now() > end) throw new Error('The broker did not become ready.')
    await pause(100)
  }
}

async function stop(child: ChildProcess, gone: Promise<void>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  const forced = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  await gone
  clearTimeout(forced)
}
