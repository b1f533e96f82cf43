import { startDemo } from './demo.ts'

const PORTS = { page: 3000, airbyte: 3001, broker: 8080 }
const PATIENCE_MS = 1000

const starting = startDemo({
  ports: PORTS,
  tokenLifeMs: 60_000,
  onTaken: (what, wanted, used) =>
    console.log(`  Port ${wanted} is taken: ${what} is on ${used} instead.`),
})

let stoppingSince: number | undefined
async function stop(status: number): Promise<void> {
  // npm passes on a Ctrl-C that the terminal has already sent: the same one, not an impatient second.
  if (stoppingSince !== undefined) {
    if (Date.now() - stoppingSince > PATIENCE_MS) process.exit(1)
    return
  }
  stoppingSince = Date.now()
  await starting.then(
    (demo) => demo.close(),
    () => {},
  )
  process.exit(status)
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    if (stoppingSince === undefined) console.log('\n  Stopping.')
    void stop(0)
  })

try {
  const demo = await starting
  if (stoppingSince === undefined) greet(demo)
  await demo.brokerEnded
  if (stoppingSince === undefined) {
    console.error('  The broker has ended, and so does the demo.')
    await stop(1)
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  await stop(1)
}

function greet(demo: Awaited<typeof starting>): void {
  console.log(`
  Open this page       ${demo.pageUrl}

  The broker           ${demo.brokerUrl}   (its API: ${demo.brokerUrl}/docs)
  Airbyte's stand-in   ${demo.airbyteUrl}

  Ask for a token as a backend would:

    curl -s -H 'Authorization: Bearer ${demo.serviceKey}' ${demo.brokerUrl}/customers/acme-rockets/token

  For the examples, in the terminal where you start one:

    export BROKER_URL=${demo.brokerUrl} BROKER_KEY=${demo.serviceKey}
    export JWT_SECRET=${demo.jwtSecret} JWT_AUDIENCE=${demo.jwtAudience}

  Tokens live for a minute here, so that you see them renewed. Every secret is new with each start.
  Ctrl-C stops everything.
`)
}
