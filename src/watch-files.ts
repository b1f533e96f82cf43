import { createHash } from 'node:crypto'
import { readFileSync, unwatchFile, watchFile } from 'node:fs'

/** Polled, because mounted secrets are swapped by a symbolic link, which change notices of a file do not see. */
const INTERVAL_MS = 1000

/** Calls back when the content of one of the files has changed. A file that cannot be read has not changed. */
export function watchFiles(
  files: readonly string[],
  onChange: () => void,
  intervalMs = INTERVAL_MS,
): { close(): void } {
  const digest = (path: string) => {
    try {
      return createHash('sha256').update(readFileSync(path)).digest('hex')
    } catch {
      return undefined
    }
  }
  const last = new Map(files.map((path) => [path, digest(path)]))
  for (const path of last.keys()) {
    watchFile(path, { interval: intervalMs, persistent: false }, () => {
      const next = digest(path)
      if (next === undefined || next === last.get(path)) return
      last.set(path, next)
      onChange()
    })
  }
  return {
    close() {
      for (const path of last.keys()) unwatchFile(path)
    },
  }
}
