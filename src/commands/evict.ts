import { runEvict } from './evict-run.ts'

/** `npm run evict -- --customer <id>` or `-- --all`. */
process.exitCode = await runEvict(process.argv.slice(2), process.env, console.log)
