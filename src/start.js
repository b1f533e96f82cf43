import { enableCompileCache } from 'node:module'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

// On one core, as many a container has, the garbage collector's helper threads take the time of the one that waits for
// them, and every collection holds up all requests five times as long. V8 can be told so only as the process starts:
// this one becomes it, with the same id.
const ONE_THREAD = '--single-threaded-gc'
const { execArgv, argv, execPath, env } = process
if (availableParallelism() === 1 && process.execve && !execArgv.includes(ONE_THREAD))
  process.execve(execPath, [execPath, ONE_THREAD, ...execArgv, ...argv.slice(1)], env)

// What Node makes of the sources is kept beside them, and with it a start takes a third of the time. Not in the folder
// for temporary files, which is Node's choice: whoever can write there could put other code in its place.
// JavaScript, as this file itself is not kept yet: to load what reads TypeScript takes longer than all of it.
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/compiled'))

await import('./main.ts')
