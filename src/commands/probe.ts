import { runProbe } from './probe-run.ts'

process.exitCode = await runProbe(process.argv.slice(2), process.env, (line) => {
  process.stdout.write(`${line}\n`)
})
