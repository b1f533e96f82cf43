import { writeFileSync } from 'node:fs'
import { createApp } from '../app.ts'
import { loadConfig } from '../config.ts'
import { createLogger } from '../logger.ts'

/** `npm run openapi`: writes `openapi.yaml` from the routes' schemas. */
const loaded = loadConfig({ AUTH: 'none', AIRBYTE_ACCESS_TOKEN: 'none', AUDIT_LOG: 'stdout' })
if (!loaded.ok) throw new Error(loaded.problems.join('\n'))
const app = await createApp(loaded.config, { log: createLogger('silent') })
const { body } = await app.server.inject('/openapi.yaml')
writeFileSync(new URL('../../openapi.yaml', import.meta.url), body)
await app.close(0)
