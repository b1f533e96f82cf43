import { type FSWatcher, readFileSync, watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Log } from '../log.ts'
import { PolicyFileError, readPolicy } from './policy-file.ts'
import { NO_POLICY, type Policy } from './policy-rules.ts'

export type PolicySourceSettings = {
  /** `null`: there is no policy beyond what each kind of caller may. */
  readonly path: string | null
  readonly allowInsecure: boolean
}

export type PolicySource = {
  current(): Policy
  /** Looks at the file now; for a signal from the operator. */
  reload(): Promise<void>
  close(): void
}

/** Where watching does not work, such as on network file systems. */
const POLL_MS = 5000
/** A file counts once it has been read twice alike this far apart: half of a policy may be a valid, wider one. */
const SETTLE_MS = 100

/**
 * Keeps the policy as the file states it. A file that is wrong at the start stops the start; one that becomes
 * wrong is logged, and the last good one stays in force. @throws PolicyFileError
 */
export function createPolicySource(
  settings: PolicySourceSettings,
  { log }: { log: Log },
): PolicySource {
  const { path } = settings
  if (path === null)
    return { current: () => NO_POLICY, reload: async () => undefined, close: () => undefined }

  let seen = readAtStart(path)
  let policy = readPolicy(seen, settings)
  let candidate: string | undefined
  let settling: NodeJS.Timeout | undefined
  let unreadable = false
  let closed = false

  function take(text: string): void {
    candidate = undefined
    seen = text
    try {
      policy = readPolicy(text, settings)
      log.info({ mode: policy.mode }, 'the policy file has changed and is in force')
    } catch (error) {
      const problems = error instanceof PolicyFileError ? error.problems : ['it cannot be read']
      log.error({ problems }, 'the policy file is not valid; the last good one stays in force')
    }
  }

  async function look(): Promise<string | undefined> {
    try {
      const text = await readFile(path ?? '', 'utf8')
      unreadable = false
      return text
    } catch {
      if (!unreadable) log.error({}, 'the policy file cannot be read; the last one stays in force')
      unreadable = true
      return undefined
    }
  }

  async function check(): Promise<void> {
    const text = await look()
    if (closed || text === undefined) return
    if (text === seen) candidate = undefined
    else if (text === candidate) take(text)
    else {
      candidate = text
      settle()
    }
  }

  function settle(): void {
    if (settling !== undefined) return
    settling = setTimeout(() => {
      settling = undefined
      void check()
    }, SETTLE_MS)
    settling.unref()
  }

  const poll = setInterval(() => void check(), POLL_MS)
  poll.unref()
  const watcher = watched(dirname(path), settle)

  return {
    current: () => policy,
    async reload() {
      const text = await look()
      if (!closed && text !== undefined && text !== seen) take(text)
    },
    close() {
      closed = true
      clearInterval(poll)
      clearTimeout(settling)
      watcher?.close()
    },
  }
}

function readAtStart(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    throw new PolicyFileError(['the file cannot be read'])
  }
}

/** The folder, not the file: editors and Kubernetes put a new file in its place. */
function watched(folder: string, onChange: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, { persistent: false }, onChange)
    watcher.on('error', () => watcher.close())
    return watcher
  } catch {
    return undefined
  }
}
